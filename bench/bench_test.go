package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the child process.
func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	os.Exit(m.Run())
}
