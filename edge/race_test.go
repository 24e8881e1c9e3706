//go:build race

package edge

// raceDetector: the tests run under it, and sync.Pool forgets at random.
const raceDetector = true
