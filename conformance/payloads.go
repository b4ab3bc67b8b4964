package conformance

import (
	"bytes"
	"fmt"
	"strings"
)

// letters returns n bytes of text in which no two stretches of a few bytes
// look alike, so that a lost, doubled or displaced byte shows.
func letters(n int) string {
	var b strings.Builder
	b.Grow(n + 12)
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%x.", i*7919)
	}
	return b.String()[:n]
}

// noise returns n bytes of every value.
func noise(n int) string {
	b := make([]byte, n)
	v := uint32(2463534242)
	for i := range b {
		v ^= v << 13
		v ^= v >> 17
		v ^= v << 5
		b[i] = byte(v)
	}
	return string(b)
}

// payloadFor returns n bytes that suit the opcode.
func payloadFor(opcode byte, n int) string {
	if opcode == opText {
		return letters(n)
	}
	return noise(n)
}

// jsonSample returns n bytes of the kind that compression is used for.
func jsonSample(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"sensor %d","values":[%d,%d,%d],"unit":"celsius","ok":true}`, i, i%17, i*31%997, i*17%911, i*7%613)
	}
	return b.Bytes()[:n]
}
