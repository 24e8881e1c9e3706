package caps

import "testing"

// One hold of more scopes than the smallest segment has room for, as another node may send it, stays within the largest record: each place
// that goes leaves a cut, and these are bounded too.
func TestHoldOfManyScopesInTheSmallestShard(t *testing.T) {
	for _, n := range []int{100, 130, 400, MaxHoldRows, MaxScopes} {
		s := New(Options{Memory: MinShardMemory, RefusalMemory: MinShardMemory, Shards: 1})
		key := Key{1, 15: 7}
		scopes := make([]Counted, n)
		for i := range scopes {
			scopes[i].Scope = scopeTag(1, i)
		}
		hold := Change{Kind: ChangeHold, Keys: []Key{key}, Identity: 1, Until: benchNow + MaxHold, Scopes: scopes, Now: benchNow}
		if err := s.Reapply(&hold); err != nil {
			t.Fatal(err)
		}
		w := wordsOf(&key)
		_, record := s.shards[0].exposures.find(hashOf(&w), &w)
		if most := s.shards[0].exposures.maxWords(); len(record) > most {
			t.Errorf("a hold of %d scopes is a record of %d words, and the largest is %d", n, len(record), most)
			continue
		}
		var p Person
		s.Lock(&p, []Key{key}, benchNow)
		for i := range scopes {
			if !p.Full(scopes[i].Scope, 1, 1) {
				t.Fatalf("of a hold of %d scopes, scope %d is free", n, i)
			}
		}
		p.Unlock()
	}
}
