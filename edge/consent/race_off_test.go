//go:build !race

package consent

const raceDetector = false
