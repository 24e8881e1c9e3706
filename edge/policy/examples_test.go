package policy

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDeployedExamplesAreWithoutFault(t *testing.T) {
	files, err := filepath.Glob("../../deploy/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example policies: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text, file); err != nil {
			t.Error(err)
		}
	}
}
