package consent

import "slices"

// usSections are the US sections of the GPP by id. A field is where its
// specification puts it; the names are those of the specification.
var usSections = [...]usSection{
	usNational: {"usnat", usNationalV2, partsGPC, 2},
	8: {"usca", state([]string{"SaleOptOutNotice", "SharingOptOutNotice", "SensitiveDataLimitUseNotice", "SaleOptOut", "SharingOptOut"},
		9, 2, "PersonalDataConsents"), partsGPC, 1},
	9:  {"usva", state(shared(), 8, 1, ""), partsNone, 1},
	10: {"usco", state(shared(), 7, 1, ""), partsGPC, 1},
	11: {"usut", state(shared("SensitiveDataProcessingOptOutNotice"), 8, 1, ""), partsNone, 1},
	12: {"usct", state(shared(), 8, 3, ""), partsGPC, 1},
	13: {"usfl", state(processing(), 8, 3, additional), partsNone, 1},
	14: {"usmt", state(shared(), 8, 3, additional), partsGPC, 1},
	15: {"usor", state(processing(), 11, 3, additional), partsGPC, 1},
	16: {"ustx", state(processing(), 8, 1, additional), partsGPC, 1},
	17: {"usde", state(processing(), 9, 5, additional), partsGPC, 1},
	18: {"usia", state(processing("SensitiveDataOptOutNotice"), 8, 1, ""), partsGPC, 1},
	19: {"usne", state(processing(), 8, 1, additional), partsGPC, 1},
	20: {"usnh", state(processing(), 8, 3, additional), partsGPC, 1},
	21: {"usnj", state(processing(), 10, 5, additional), partsGPC, 1},
	22: {"ustn", state(processing(), 8, 1, additional), partsGPC, 1},
	23: {"usmn", state(processing(), 8, 1, additional), partsGPC, 1},
	24: {"usmd", mspa(false), partsGPC, 1},
	25: {"usin", mspa(true), partsSensitive, 1},
	26: {"usky", mspa(true), partsSensitive, 1},
	27: {"usri", mspa(true), partsSensitive, 1},
}

const additional = "AdditionalDataProcessingConsent"

// shared and processing are the notices and opt-outs that most states have, with
// the notice of sensitive data that a few have between them.
func shared(sensitive ...string) []string { return notices("SharingNotice", sensitive) }

func processing(sensitive ...string) []string { return notices("ProcessingNotice", sensitive) }

func notices(first string, sensitive []string) []string {
	return slices.Concat([]string{first, "SaleOptOutNotice", "TargetedAdvertisingOptOutNotice"}, sensitive,
		[]string{"SaleOptOut", "TargetedAdvertisingOptOut"})
}

// state is the core of a state's section: version, notices and opt-outs, kinds of
// sensitive data and of children's data, a consent where there is one, MSPA.
func state(asked []string, sensitive, child int, consent string) *layout {
	fields := []field{one("Version", 6)}
	for _, name := range asked {
		fields = append(fields, two(name))
	}
	fields = append(fields, pairs("SensitiveDataProcessing", sensitive), pairs("KnownChildSensitiveDataConsents", child))
	if consent != "" {
		fields = append(fields, two(consent))
	}
	return newLayout(append(fields, two("MspaCoveredTransaction"), two("MspaOptOutOptionMode"), two("MspaServiceProviderMode"))...)
}

// mspa is the core of the sections of 2025, which begin with the MSPA and have
// their sensitive data in a part of its own. The drafts for public comment put a
// header before it, which no encoder writes: such a string is of another version.
func mspa(child bool) *layout {
	fields := []field{
		one("MspaVersion", 6), two("MspaCoveredTransaction"), two("MspaMode"), two("ProcessingNotice"),
		two("SaleOptOutNotice"), two("TargetedAdvertisingOptOutNotice"), two("SaleOptOut"), two("TargetedAdvertisingOptOut"),
	}
	if child {
		fields = append(fields, two("KnownChildSensitiveDataConsents"))
	}
	return newLayout(append(fields, two(additional))...)
}

// The US National section. Version 2 has more kinds of sensitive data and of
// children's data. Encoders have mixed up the versions, so that the length says
// which layout it is: 60 bits, with padding 66, are the first.
const (
	usNational       = 7
	usNationalV1Bits = 66
)

var (
	usNationalV1 = national(12, 2)
	usNationalV2 = national(16, 3)
)

func national(sensitive, child int) *layout {
	return state([]string{
		"SharingNotice", "SaleOptOutNotice", "SharingOptOutNotice", "TargetedAdvertisingOptOutNotice",
		"SensitiveDataProcessingOptOutNotice", "SensitiveDataLimitUseNotice",
		"SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut",
	}, sensitive, child, "PersonalDataConsents")
}
