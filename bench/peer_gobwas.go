package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
	klauspost "github.com/klauspost/compress/flate"
)

var gobwasPeer = &peer{
	name: "gobwas", module: "github.com/gobwas/ws",
	about: "zero-copy upgrade on a listener; the low-level loop of its documentation, improved as an expert would: " +
		"reads through bufio (directly where connections idle), header and payload in one write, buffers reused; " +
		"a compiled frame for broadcasts",
	serve:  serveGobwas,
	client: &clientPeer{echo: gobwasClientEcho, dial: gobwasDial},
}

func serveGobwas(j *serverJob) error {
	var all hub[net.Conn]
	return acceptLoop(j.listener(), func(c net.Conn) {
		u := ws.Upgrader{}
		ext := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		if j.Deflate != noDeflate {
			u.Negotiate = ext.Negotiate
		}
		if _, err := u.Upgrade(c); err != nil {
			c.Close()
			return
		}
		s := &gobwasConn{conn: c, r: c, state: ws.StateServerSide, thrifty: j.Kind == kindIdle}
		if !s.thrifty {
			s.buffered = gobwasReader(c, j)
			s.r = s.buffered
		}
		handle := s.write
		if _, ok := ext.Accepted(); ok {
			s.state = s.state.Set(ws.StateExtended)
			handle = s.writeInflated
		}
		if j.broadcast() {
			all.add(c)
			handle = func(h ws.Header, _ []byte) error { return s.publish(h, &all) }
		}
		// A goroutine whose stack has not grown in the handshake, as for the
		// others.
		go s.loop(handle)
	})
}

// headroom is left before a payload for its header.
const headroom = ws.MaxHeaderSize

// A gobwasConn reads frames and keeps the buffer for the next one, or not if it
// is thrifty.
type gobwasConn struct {
	conn     net.Conn
	r        io.Reader
	buffered *bufio.Reader // r, or nil if it is conn
	state    ws.State
	thrifty  bool
	buf      []byte // headroom and payload
	head     bytes.Buffer
	scratch  [ws.MaxHeaderSize]byte // of a header that is read
	written  [ws.MaxHeaderSize]byte // of one that is written
}

// loop handles frame by frame: what comes fragmented goes back fragmented.
func (c *gobwasConn) loop(handle func(ws.Header, []byte) error) {
	defer c.close()
	for {
		h, payload, err := c.next()
		if err != nil || handle(h, payload) != nil {
			return
		}
		if c.thrifty {
			c.buf, c.head = nil, bytes.Buffer{}
		}
	}
}

// gobwasReaders are reused from connection to connection, as the upgrade does with
// its own.
var gobwasReaders sync.Pool

func gobwasReader(c net.Conn, j *serverJob) *bufio.Reader {
	if r, ok := gobwasReaders.Get().(*bufio.Reader); ok {
		r.Reset(c)
		return r
	}
	return bufio.NewReaderSize(c, max(j.readBuffer(), 4<<10))
}

func (c *gobwasConn) close() {
	_ = c.conn.Close()
	if c.buffered != nil {
		c.buffered.Reset(nil)
		gobwasReaders.Put(c.buffered)
	}
}

// next returns the next data frame, unmasked.
func (c *gobwasConn) next() (ws.Header, []byte, error) {
	for {
		h, err := ws.ReadHeaderBuffer(c.r, c.scratch[:])
		if err != nil {
			return h, nil, err
		}
		if err := ws.CheckHeader(h, c.state); err != nil {
			return h, nil, err
		}
		if h.OpCode.IsControl() {
			ctl := wsutil.ControlHandler{Src: c.r, Dst: c.conn, State: c.state}
			if err := ctl.Handle(h); err != nil {
				return h, nil, err
			}
			continue
		}
		if n := headroom + int(h.Length); cap(c.buf) < n {
			c.buf = make([]byte, n)
		}
		payload := c.buf[headroom : headroom+int(h.Length)]
		if _, err := io.ReadFull(c.r, payload); err != nil {
			return h, nil, err
		}
		if h.Masked {
			ws.Cipher(payload, h.Mask, 0)
		}
		return h, payload, nil
	}
}

// write sends the payload that is in the buffer, with its header before it.
func (c *gobwasConn) write(h ws.Header, payload []byte) error {
	h.Masked = false
	return c.writeFrame(h, len(payload))
}

func (c *gobwasConn) writeFrame(h ws.Header, n int) error {
	c.head.Reset()
	if err := ws.WriteHeaderBuffer(&c.head, h, c.written[:]); err != nil {
		return err
	}
	start := headroom - c.head.Len()
	copy(c.buf[start:], c.head.Bytes())
	_, err := c.conn.Write(c.buf[start : headroom+n])
	return err
}

// publish writes the frame that is in the buffer to all.
func (c *gobwasConn) publish(h ws.Header, all *hub[net.Conn]) error {
	frame, err := c.compile(h)
	if err != nil {
		return err
	}
	all.each(func(c net.Conn) { _, _ = c.Write(frame) })
	return nil
}

// compile makes bytes for many of the frame that is in the buffer.
func (c *gobwasConn) compile(h ws.Header) ([]byte, error) {
	return ws.CompileFrame(ws.NewFrame(h.OpCode, h.Fin, c.buf[headroom:headroom+int(h.Length)]))
}

// Compressors and decompressors are reused, through the types that wsflate has
// for it: its helpers would make a compressor for each message. The README says
// "any deflate implementation": the compressor is that of gws, at the level of the
// other libraries. The decompressor is the standard library's, as klauspost's finds
// "corrupt input" in what wsflate gives it.
var (
	gobwasFlaters = sync.Pool{New: func() any {
		return wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
			f, _ := klauspost.NewWriter(w, klauspost.BestSpeed) // fails only for an unknown level
			return f
		})
	}}
	gobwasInflaters = sync.Pool{New: func() any {
		return wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor {
			return gobwasInflater{flate.NewReader(r)}
		})
	}}
	gobwasBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// A gobwasInflater has the form of Reset that wsflate reuses decompressors by.
type gobwasInflater struct{ io.ReadCloser }

func (i gobwasInflater) Reset(r io.Reader) {
	_ = i.ReadCloser.(flate.Resetter).Reset(r, nil) // never fails
}

// writeInflated decompresses a message, compresses it again and sends it.
func (c *gobwasConn) writeInflated(h ws.Header, payload []byte) error {
	h, compressed, err := wsflate.UnsetBit(h)
	if err != nil {
		return err
	}
	plain := gobwasBuffers.Get().(*bytes.Buffer)
	defer gobwasBuffers.Put(plain)
	plain.Reset()
	if !compressed {
		plain.Write(payload)
	} else if err := gobwasInflate(plain, payload); err != nil {
		return err
	}
	packed := bytes.NewBuffer(c.buf[:headroom])
	if err := gobwasDeflate(packed, plain.Bytes()); err != nil {
		return err
	}
	c.buf = packed.Bytes()
	h.Masked, h.Length = false, int64(len(c.buf)-headroom)
	if h, err = wsflate.SetBit(h); err != nil {
		return err
	}
	return c.writeFrame(h, int(h.Length))
}

func gobwasInflate(to *bytes.Buffer, b []byte) error {
	r := gobwasInflaters.Get().(*wsflate.Reader)
	defer gobwasInflaters.Put(r)
	r.Reset(bytes.NewReader(b))
	if _, err := to.ReadFrom(r); err != nil {
		return err
	}
	return r.Close()
}

func gobwasDeflate(to *bytes.Buffer, b []byte) error {
	w := gobwasFlaters.Get().(*wsflate.Writer)
	defer gobwasFlaters.Put(w)
	w.Reset(to)
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Flush()
}

func gobwasClientEcho(j *clientJob, i int) error {
	nc, br, _, err := ws.Dial(context.Background(), j.url(i))
	if err != nil {
		return err
	}
	if br == nil {
		br = bufio.NewReader(nc)
	}
	c := &gobwasConn{conn: nc, r: br, state: ws.StateClientSide, buf: make([]byte, headroom+len(j.payload))}
	go func() {
		defer nc.Close()
		for {
			// Masking is in place, so the payload is copied.
			h := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: ws.NewMask(), Length: int64(len(j.payload))}
			copy(c.buf[headroom:cap(c.buf)], j.payload)
			ws.Cipher(c.buf[headroom:headroom+len(j.payload)], h.Mask, 0)
			err := c.writeFrame(h, len(j.payload))
			var reply []byte
			if err == nil {
				_, reply, err = c.next()
			}
			if err != nil {
				j.fail(err)
				return
			}
			if !j.reply(i, reply) {
				return
			}
		}
	}()
	return nil
}

func gobwasDial(url string) error {
	c, br, _, err := ws.Dial(context.Background(), url)
	if err != nil {
		return err
	}
	if br != nil {
		ws.PutReader(br)
	}
	return c.Close()
}
