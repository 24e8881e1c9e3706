package consent

// readUSPrivacy reads a US Privacy string (IAB Tech Lab, "U.S. Privacy String",
// version 1):
//
//	1 character  version: 1
//	1 character  notice was given: Y, N, or - for not applicable
//	1 character  opted out of sale: Y, N or -
//	1 character  covered by the Limited Service Provider Agreement: Y, N or -
//
// Lower case, which one decoder of the field takes, is refused.
func readUSPrivacy(text []byte) (f found, problem Why) {
	if len(text) != 4 || text[0] != '1' {
		return 0, USPUnreadable
	}
	for _, c := range text[1:] {
		if c != 'Y' && c != 'N' && c != '-' {
			return 0, USPUnreadable
		}
	}
	f.add(findNoNotice, text[1] == 'N')
	f.add(findSale, text[2] == 'Y')
	return f, Nothing
}
