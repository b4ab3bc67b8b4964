package negotiate

import (
	"crypto/sha1"
	"encoding/base64"
)

// keyGUID is what a server appends to the key to prove that it understood the
// handshake (RFC 6455, section 1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keySize    = 24 // 16 bytes in base64
	acceptSize = 28 // a SHA-1 sum in base64
)

// AcceptKey returns the Sec-WebSocket-Accept that answers the Sec-WebSocket-Key
// of a request. It does not check the key.
//
// "The value of this header field is constructed by concatenating /key/ [...]
// with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash
// of this concatenated value to obtain a 20-byte value and base64-encoding
// [...] this 20-byte hash" (RFC 6455, section 4.2.2, item 5.4)
func AcceptKey(key string) string {
	accept := acceptKey(key)
	return string(accept[:])
}

func acceptKey(key string) (accept [acceptSize]byte) {
	var room [keySize + len(keyGUID)]byte
	sum := sha1.Sum(append(append(room[:0], key...), keyGUID...))
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}

// encodeKey returns the Sec-WebSocket-Key for 16 random bytes.
//
// "The value of this header field MUST be a nonce consisting of a randomly
// selected 16-byte value that has been base64-encoded" (RFC 6455, section 4.1,
// item 7)
func encodeKey(nonce [16]byte) (key [keySize]byte) {
	base64.StdEncoding.Encode(key[:], nonce[:])
	return key
}

// validKey reports whether key is 16 bytes in base64: 22 digits and two signs
// of padding. The four bits that the last digit has too many are not looked at.
//
// "a base64-encoded [...] value that, when decoded, is 16 bytes in length" (RFC
// 6455, section 4.2.1, item 5)
func validKey(key string) bool {
	if len(key) != keySize || key[22:] != "==" {
		return false
	}
	for i := range 22 {
		if !isBase64(key[i]) {
			return false
		}
	}
	return true
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || isDigit(c) || c == '+' || c == '/'
}
