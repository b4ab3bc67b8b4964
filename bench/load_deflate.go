package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
)

// offers are what the load offers, as browsers do it.
var offers = map[deflate]string{
	noDeflate:       "",
	deflateFresh:    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	deflateTakeover: "permessage-deflate; client_max_window_bits",
}

// lapSize is the number of messages after which a script repeats itself: more
// than the largest window holds, so that what the compressor knows at a place
// is the same in the second lap and in all that follow.
const (
	lapSize   = 64
	maxWindow = 32 << 10
)

// A script is what all connections send, compressed beforehand.
type script struct {
	texts   [][]byte
	history []byte // the texts of two laps, one after the other
	mu      sync.Mutex
	frames  map[framing][2][][]byte // of the first lap, and of all further ones
}

// A framing is how a server wants to have it.
type framing struct {
	fresh bool
	bits  int
}

func newScript(size int) *script {
	s := &script{texts: jsonTexts(lapSize, size), frames: map[framing][2][][]byte{}}
	for range 2 {
		for _, t := range s.texts {
			s.history = append(s.history, t...)
		}
	}
	return s
}

// request is message n of a connection.
func (s *script) request(laps [2][][]byte, n int) []byte {
	return laps[min(n/lapSize, 1)][n%lapSize]
}

// window is what the server's compressor may refer to in message n.
func (s *script) window(n int) []byte {
	size := len(s.texts[0])
	end := n * size
	if n >= lapSize {
		end = (lapSize + n%lapSize) * size
	}
	return s.history[max(0, end-maxWindow):end]
}

// laps compresses for one framing, once.
func (s *script) laps(f framing) ([2][][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if laps, ok := s.frames[f]; ok {
		return laps, nil
	}
	var laps [2][][]byte
	var packed bytes.Buffer
	var w *flate.Writer
	for n := range 2 * lapSize {
		packed.Reset()
		if w == nil || f.fresh {
			var err error
			if w, err = newCompressor(&packed, f); err != nil {
				return laps, err
			}
		}
		if _, err := w.Write(s.texts[n%lapSize]); err != nil {
			return laps, err
		}
		if err := w.Flush(); err != nil {
			return laps, err
		}
		// RFC 7692, section 7.2.1: the empty block at the end is not sent.
		payload, ok := bytes.CutSuffix(packed.Bytes(), []byte{0, 0, 0xff, 0xff})
		if !ok {
			return laps, errors.New("no empty block after a flush")
		}
		key := [4]byte(randomBytes(4, uint64(n)))
		frame := appendClientFrame(nil, finBit|rsv1Bit|opText, payload, key)
		laps[n/lapSize] = append(laps[n/lapSize], frame)
	}
	s.frames[f] = laps
	return laps, nil
}

func newCompressor(w io.Writer, f framing) (*flate.Writer, error) {
	if f.bits < 15 {
		return flate.NewWriterWindow(w, 1<<f.bits)
	}
	return flate.NewWriter(w, flate.DefaultCompression)
}

// A talker is one connection of the load with compression.
type talker struct {
	script *script
	laps   [2][][]byte
	link   link
	r      *bufio.Reader
	n      int // messages so far
	packed []byte
	text   []byte
	inf    io.ReadCloser
	src    bytes.Reader
}

func (s *script) newTalker(l link) (*talker, error) {
	if !l.deflate {
		return nil, errors.New("the server has not agreed on permessage-deflate")
	}
	laps, err := s.laps(framing{fresh: l.clientFresh, bits: l.clientBits})
	if err != nil {
		return nil, err
	}
	return &talker{
		script: s, laps: laps, link: l,
		r:    bufio.NewReader(l.Conn),
		text: make([]byte, len(s.texts[0])+1),
		inf:  flate.NewReader(nil),
	}, nil
}

// exchange sends the next message and checks the reply.
func (k *talker) exchange(w *worker) error {
	t0 := time.Now()
	if _, err := k.link.Write(k.script.request(k.laps, k.n)); err != nil {
		return err
	}
	wire, packed, err := k.readMessage()
	if err != nil {
		return err
	}
	took := time.Since(t0)
	if err := k.check(packed); err != nil {
		return fmt.Errorf("message %d: %w", k.n, err)
	}
	k.n++
	if w.measuring.Load() {
		w.received(wire, took)
	}
	return nil
}

// readMessage collects a message in k.packed, of one frame or several.
func (k *talker) readMessage() (wire int, packed bool, err error) {
	k.packed = k.packed[:0]
	for part := 0; ; part++ {
		var h header
		ok := false
		for need := 2; !ok; need++ {
			b, err := k.r.Peek(need)
			if err != nil {
				return wire, packed, err
			}
			if h, ok, err = parseHeader(b); err != nil {
				return wire, packed, err
			}
		}
		if part == 0 {
			packed = h.first&rsv1Bit != 0
		}
		_, _ = k.r.Discard(h.size) // was peeked at
		n := len(k.packed)
		k.packed = append(k.packed, make([]byte, h.length)...)
		if _, err := io.ReadFull(k.r, k.packed[n:]); err != nil {
			return wire, packed, err
		}
		wire += h.size + h.length
		if h.first&finBit != 0 {
			return wire, packed, nil
		}
	}
}

// deflateTail completes a message for a decompressor: the empty block that was
// not sent, and one that is the last.
var deflateTail = []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}

// check compares the message in k.packed with what was sent.
func (k *talker) check(packed bool) error {
	want := k.script.texts[k.n%lapSize]
	if !packed {
		if !bytes.Equal(k.packed, want) {
			return errWrongReply
		}
		return errors.New("the reply is not compressed")
	}
	var window []byte
	if !k.link.serverFresh {
		window = k.script.window(k.n)
	}
	k.packed = append(k.packed, deflateTail...)
	k.src.Reset(k.packed)
	if err := k.inf.(flate.Resetter).Reset(&k.src, window); err != nil {
		return err
	}
	n, err := io.ReadFull(k.inf, k.text)
	if err != io.ErrUnexpectedEOF { // as the buffer has room for one byte more
		return fmt.Errorf("inflating: %d bytes, %w", n, errors.Join(errWrongReply, err))
	}
	if !bytes.Equal(k.text[:n], want) {
		return errWrongReply
	}
	return nil
}

// talkers makes one of each connection.
func talkers(s *scenario, links []link) ([]*talker, error) {
	sc := newScript(s.Size)
	ks := make([]*talker, len(links))
	for i, l := range links {
		var err error
		if ks[i], err = sc.newTalker(l); err != nil {
			return nil, err
		}
	}
	return ks, nil
}

// loadDeflate echoes compressed messages, and asks what memory that takes.
func loadDeflate(p *process, s *scenario, t *target, dur time.Duration) (values, error) {
	empty, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	links, err := t.dialAll(s.Conns, time.Now().Add(s.lifetime(dur)))
	if err != nil {
		return nil, err
	}
	defer closeAll(links)
	ks, err := talkers(s, links)
	if err != nil {
		return nil, err
	}
	l := newLoad(s.Conns)
	l.goEach(func(i int, w *worker) error {
		err := ks[i].exchange(w)
		w.n.Add(1)
		return err
	})
	v, err := l.measure(p, dur)
	if err != nil {
		return nil, err
	}
	p.pause(settle) // as where connections idle
	full, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	v[liveKB.Key] = memoryValues(empty, full, s.Conns)[liveKB.Key]
	v[busyKB.Key] = max(0, (v[busyKB.Key]-float64(empty.Live))/float64(s.Conns)/1024)
	return v, nil
}

// echoOnceDeflated sends one message on each connection.
func echoOnceDeflated(s *scenario, _ *target, links []link) error {
	sc := newScript(s.Size)
	return eachLink(links, func(i int, w *worker) error {
		k, err := sc.newTalker(links[i])
		if err != nil {
			return err
		}
		return k.exchange(w)
	})
}
