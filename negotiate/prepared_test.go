package negotiate

import "testing"

// A stamp is a Preparer that appends one byte, which is its key as well.
type stamp struct {
	by   byte
	bits Reserved
	sent []string
}

func (s *stamp) Outgoing(dst []byte, m Message) ([]byte, Reserved, bool, error) {
	return s.Prepare(dst, m)
}

func (s *stamp) Incoming(dst []byte, m Message, _ int64) ([]byte, bool, error) {
	return append(dst, m.Data[:len(m.Data)-1]...), true, nil
}

func (s *stamp) Close()                 {}
func (s *stamp) PreparedKey() any       { return s.by }
func (s *stamp) SentPrepared(m Message) { s.sent = append(s.sent, string(m.Data)) }

func (s *stamp) Prepare(dst []byte, m Message) ([]byte, Reserved, bool, error) {
	if m.Reserved != 0 {
		panic("reserved bits on an outgoing message")
	}
	return append(append(dst, m.Data...), s.by), s.bits, len(m.Data) > 0, nil
}

// unprepared is a Session and no Preparer.
type unprepared struct{ Session }

func TestPipelinePrepares(t *testing.T) {
	s := &stamp{by: '!', bits: RSV1}
	p := NewPipeline(Offer{Name: "stamp"}, RSV1, s)
	if key, ok := p.PreparedKey(); key != any(byte('!')) || !ok {
		t.Errorf("key %v, %v", key, ok)
	}
	out, bits, transformed, err := p.Prepare([]byte("x"), Message{Reserved: RSV3, Data: []byte("a")})
	if string(out) != "xa!" || bits != RSV1 || !transformed || err != nil {
		t.Errorf("%q, %v, %v, %v", out, bits, transformed, err)
	}
	if out, bits, transformed, err := p.Prepare([]byte("x"), Message{}); string(out) != "x" || bits != 0 || transformed || err != nil {
		t.Errorf("%q, %v, %v, %v", out, bits, transformed, err)
	}
	p.SentPrepared(Message{Data: []byte("a")})
	if len(s.sent) != 1 || s.sent[0] != "a" {
		t.Errorf("sent %q", s.sent)
	}
	s.bits = RSV2 // not its own
	if _, _, _, err := p.Prepare(nil, Message{Data: []byte("a")}); err != ErrReserved {
		t.Errorf("got %v, want ErrReserved", err)
	}
}

// Where messages have to pass by themselves there is no key.
func TestPipelineDoesNotPrepare(t *testing.T) {
	alone := NewPipeline(Offer{Name: "a"}, RSV1, unprepared{&stamp{}})
	two := NewPipeline(Offer{Name: "a"}, RSV1, &stamp{})
	two.add(Offer{Name: "b"}, RSV2, &stamp{})
	for _, p := range []*Pipeline{alone, two} {
		if key, ok := p.PreparedKey(); ok {
			t.Errorf("key %v", key)
		}
		if _, _, transformed, err := p.Prepare(nil, Message{Data: []byte("a")}); transformed || err != nil {
			t.Errorf("%v, %v", transformed, err)
		}
		p.SentPrepared(Message{})
	}
	var none *Pipeline
	if key, ok := none.PreparedKey(); key != nil || !ok {
		t.Errorf("a nil pipeline: %v, %v", key, ok)
	}
}
