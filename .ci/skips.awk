# Reads the output of go test -v: of a package that passes one line is left, of one
# that fails everything; at the end it counts the tests that were skipped, by reason.
/_test\.go:[0-9]+: / { reason = $0; sub(/^ *[^ ]+_test\.go:[0-9]+: /, "", reason) }
/^ *--- SKIP: / { skipped[reason]++; total++ }
/^(ok|\?) / || /^\t.*coverage: / { print; fflush(); lines = 0; next }
/^FAIL\t/ { for (i = 0; i < lines; i++) print held[i]; print; lines = 0; next }
{ held[lines++] = $0 }
END {
	for (i = 0; i < lines; i++) if (held[i] != "FAIL") print held[i]
	printf "%d tests skipped\n", total
	for (reason in skipped) printf "  %d: %s\n", skipped[reason], reason
}
