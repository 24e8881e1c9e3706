#!/bin/sh
# A private authority and certificates of it, for where there is none yet. Needs openssl.
#
#   deploy/certificates.sh DIR NAME SAN...     DIR/NAME.pem and DIR/NAME-key.pem, for host names and addresses, good for a year
#
# The authority is DIR/ca.pem, made at the first call. Its key, DIR/ca-key.pem, signs whoever may join: keep it off the machines that serve.
set -eu
umask 077

[ $# -ge 3 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$1 name=$2
shift 2
case $name in *[!A-Za-z0-9.-]*|ca|ca-key) echo "the name $name: take letters, digits, dots and dashes, and not ca" >&2; exit 2 ;; esac
[ ! -e "$dir/$name-key.pem" ] || { echo "$dir/$name-key.pem is there: move it away to issue another" >&2; exit 1; }

mkdir -p "$dir"
if [ ! -e "$dir/ca.pem" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Restraint authority" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout "$dir/ca-key.pem" -out "$dir/ca.pem" 2>"$dir/openssl.log" || { cat "$dir/openssl.log" >&2; exit 1; }
fi

names=
for san in "$@"; do
	case $san in
	*:*) kind=IP ;;
	*[!0-9.]*) kind=DNS ;;
	*) kind=IP ;;
	esac
	names="$names,$kind:$san"
done

{
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$dir/$name-key.pem" -out "$dir/$name.csr" &&
		printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n' "${names#,}" >"$dir/$name.ext" &&
		openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca-key.pem" -CAcreateserial -days 365 -extfile "$dir/$name.ext" -out "$dir/$name.pem"
} 2>"$dir/openssl.log" || { cat "$dir/openssl.log" >&2; rm -f "$dir/$name-key.pem" "$dir/$name.pem"; exit 1; }
rm -f "$dir/$name.csr" "$dir/$name.ext" "$dir/openssl.log"
chmod 644 "$dir/ca.pem" "$dir/$name.pem"
echo "$dir/$name.pem"
