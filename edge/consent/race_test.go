//go:build race

package consent

// raceDetector: the tests run under it. It makes sync.Pool, which ristretto uses,
// forget at random.
const raceDetector = true
