package main

import (
	"context"
	"errors"
)

func testClients(ctx context.Context, s *settings) (int, error) {
	return exitUsage, errors.New("not there yet")
}
