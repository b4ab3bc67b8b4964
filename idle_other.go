//go:build unix && !linux

package websocket

// idleness is of no use where there is no place to rest: the reading goroutine waits.
type idleness struct{}

func (*idleness) init() {}
func (*idleness) stir() {}

func (t *socketTransport) await() error {
	if err := t.raw.Read(t.readReady); err != nil {
		return err
	}
	return t.readErr()
}
