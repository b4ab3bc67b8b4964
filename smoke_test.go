package websocket

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	srv := httptest.NewServer(Handler(func(c *Conn) {
		for m := range c.Messages() {
			if err := c.Send(context.Background(), m); err != nil {
				t.Error(err)
			}
			m.Release()
		}
		t.Log("server", <-c.Closed())
	}, nil))
	defer srv.Close()
	c, err := Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		s := strings.Repeat("x", i*i/10)
		if err := c.Send(t.Context(), Text(s)); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-c.Messages():
			if m.String() != s {
				t.Fatal("differs", i)
			}
		case <-time.After(time.Second):
			t.Fatal("timeout")
		}
	}
	if rtt, err := c.Ping(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	} else {
		t.Log(rtt)
	}
	if err := c.Close(t.Context(), 1000, "bye"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v", <-c.Closed(), c.Stats())
}
