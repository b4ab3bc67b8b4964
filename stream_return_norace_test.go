//go:build !race

package websocket_test

import "testing"

// The one use of a response that can not be made right: a handler returns, out of
// Handler and Hold and without Abort, while a write is under way. The race detector
// sees it, and so it is not asked here. The connection ends with an error all the
// same, and so does the write, which the peer does not let go on.
func TestStreamHandlerReturnsWhileAWriteWaits(t *testing.T) {
	if e := leaveWhileAWriteWaits(t, func() {}); e.Err == nil {
		t.Errorf("closed with %+v", e)
	}
}
