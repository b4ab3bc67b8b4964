package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
)

var (
	ruleZip       = rfc7692("7.2.1 and 7.2.2", `“Compress all the octets of the payload of the message using DEFLATE.” “If the resulting data does not end with an empty DEFLATE block with no compression (the "BTYPE" bits are set to 00), append an empty DEFLATE block with no compression to the tail end.” “Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end.” The receiver: “Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message.” “Decompress the resulting data using DEFLATE.”`)
	ruleZipBit    = rfc7692("6 and 6.1", `“This document allocates the RSV1 bit of the WebSocket header for PMCEs and calls the bit the "Per-Message Compressed" bit.” “An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first fragments of a data message. An endpoint receiving such a frame MUST _Fail the WebSocket Connection_.”`)
	ruleZipMixed  = rfc7692("6", `“A message with the "Per-Message Compressed" bit unset on the first fragment of the message is called an "uncompressed message".” “An endpoint receiving an uncompressed message uses the concatenation of the application data portion of the frames of the message as is”`)
	ruleTakeover  = rfc7692("7.1.1 and 7.2.1", `By "server_no_context_takeover" “a client prevents the peer server from using context takeover.” By "client_no_context_takeover" “a server prevents the peer client from using context takeover.” Then (7.2.1) each new message begins “with an empty LZ77 sliding window”, else it may continue the last one's.`)
	ruleWindow    = rfc7692("7.2.1", `“If the "agreed parameters" contain the "client_max_window_bits" extension parameter with a value of w, the client MUST NOT use an LZ77 sliding window longer than the w-th power of 2 bytes to compress messages to send.” The same holds for the server and "server_max_window_bits".`)
	ruleDecline   = rfc7692("7", "“A server MUST decline an extension negotiation offer for this extension if any of the following conditions are met”: “The negotiation offer contains an extension parameter not defined for use in an offer.” “The negotiation offer contains an extension parameter with an invalid value.” “The negotiation offer contains multiple extension parameters with the same name.” “The server doesn't support the offered configuration.”")
	ruleBadAnswer = rfc7692("7", "“A client MUST _Fail the WebSocket Connection_ if the peer server accepted an extension negotiation offer for this extension with an extension negotiation response meeting any of the following conditions”: “The negotiation response contains an extension parameter not defined for use in a response.” “The negotiation response contains an extension parameter with an invalid value.” “The negotiation response contains multiple extension parameters with the same name.” “The client does not support the configuration that the response represents.”")
	ruleInflate   = rfc7692("7.2.2", "“Decompress the resulting data using DEFLATE.” Data that is no DEFLATE is no message: the receiver fails the connection (RFC 6455, 7.1.7).")
	ruleExamples  = rfc7692("7.2.3", "Examples.")
)

// zipMode is a way in which both sides compress.
type zipMode struct{ name, offer, answer string }

var (
	takeover   = zipMode{"takeover", "permessage-deflate", "permessage-deflate"}
	noTakeover = zipMode{"no-takeover", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}
)

func (m zipMode) opening() opening {
	return opening{offer: m.offer, answer: func(offer string) *answer {
		return answerTo(offer, m.answer)
	}}
}

func deflateCases() []Case {
	var cases []Case
	for _, m := range []zipMode{takeover, noTakeover} {
		list := slices.Concat(zipMessages(), zipBlocks(), zipFragments(), zipFaults(), zipVolume())
		for _, c := range list {
			c.ID = "deflate." + m.name + "." + c.ID
			c.Title += " (" + m.name + ")"
			c.opening = m.opening()
			cases = append(cases, c)
		}
	}
	return slices.Concat(cases, takeoverCases(), windowCases(), offerCases(), illegalOfferCases(), illegalAnswerCases())
}

// zips sends messages compressed, each in one frame.
func zips(op byte, payloads ...string) Step {
	return Step{Text: fmt.Sprintf("send compressed: %d %s messages, the first %s", len(payloads), opcodeName(op), bytesInBrief([]byte(payloads[0]))),
		run: func(s *session) *finding {
			for _, p := range payloads {
				s.send(0, data(op, s.deflater.message([]byte(p))).bits(rsv1))
			}
			return nil
		}}
}

// zippedBytes is a text message whose compressed bytes are given.
func zippedBytes(b ...byte) frame { return data(opText, b).bits(rsv1) }

func zipMessages() []Case {
	var cases []Case
	for _, op := range dataOpcodes {
		for _, n := range []int{0, 1, 5, 125, 126, 1000, 40000, 65536} {
			payload := string(jsonSample(n))
			cases = append(cases, Case{
				ID: fmt.Sprintf("message.%s.%d", opcodeName(op), n), Title: fmt.Sprintf("a compressed %s message of %d bytes", opcodeName(op), n), Rule: ruleZip,
				steps: plan(zips(op, payload), echoes(op, payload)),
			})
		}
	}
	hello := echoes(opText, "Hello")
	return append(cases, Case{
		ID: "message.incompressible", Title: "a compressed message of noise", Rule: ruleZip,
		steps: plan(zips(opBinary, noise(20000)), echoes(opBinary, noise(20000))),
	}, Case{
		ID: "message.plain-between", Title: "a message that is not compressed between two that are", Rule: ruleZipMixed,
		steps: plan(zips(opText, "Hello"), sends(text("Hello")), zips(opText, "Hello"), hello, hello, hello),
	}, Case{
		ID: "message.plain-only", Title: "messages that are not compressed although they might be", Rule: ruleZipMixed,
		steps: plan(sends(text("Hello"), binaryFrame("\xff\x00")), hello, echoes(opBinary, "\xff\x00")),
	}, Case{
		ID: "message.plain-empty", Title: "an empty message that is not compressed", Rule: ruleZipMixed,
		steps: plan(sends(text("")), echoes(opText, "")),
	}, Case{
		ID: "message.same-many", Title: "one message twenty times", Rule: ruleTakeover,
		steps: plan(zips(opText, slices.Repeat([]string{string(jsonSample(500))}, 20)...), repeatedStep(echoes(opText, string(jsonSample(500))), 20)),
	}, Case{
		ID: "message.ping-between", Title: "a ping, which is never compressed, between two compressed messages", Rule: ruleZipBit,
		steps: plan(zips(opText, "Hello"), sends(ping("ping")), zips(opText, "Hello"), hello, pongs("ping"), hello),
	})
}

// zipBlocks send the same text in every kind of block, among them the RFC's
// examples.
func zipBlocks() []Case {
	raw := func(id, title, want string, b ...byte) Case {
		return Case{ID: "blocks." + id, Title: title, Rule: ruleExamples, steps: plan(sends(zippedBytes(b...)), echoes(opText, want))}
	}
	built := func(id, title string, build func() []byte) Case {
		return Case{ID: "blocks." + id, Title: title, Rule: ruleZip, steps: plan(sends(zippedBytes(build()...)), echoes(opText, string(jsonSample(3000))))}
	}
	sample := jsonSample(3000)
	return []Case{
		raw("rfc-fixed", "the RFC's example of one block (7.2.3.1)", "Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00),
		raw("rfc-stored", "the RFC's example without compression (7.2.3.3)", "Hello", 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00),
		raw("rfc-final", "the RFC's example with BFINAL set (7.2.3.4)", "Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00),
		raw("rfc-two", "the RFC's example of two blocks (7.2.3.5)", "Hello", 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00),
		raw("empty", "an empty message as one byte (7.2.3.6)", "", 0x00),
		raw("empty-fixed", "an empty message as an empty block with fixed codes", "", 0x02, 0x00),
		built("stored-many", "thirty stored blocks", func() []byte {
			var w bitWriter
			for part := range slices.Chunk(sample, 100) {
				w.storedBlock(0, part)
			}
			w.bits(0, 3)
			w.align()
			return w.out
		}),
		built("mixed", "stored blocks between blocks with fixed codes", func() []byte {
			var w bitWriter
			d := deflater{window: 32768, fresh: "fresh"}
			for i := 0; i < len(sample); i += 500 {
				if i%1000 == 0 {
					w.storedBlock(0, sample[i:i+500])
					continue
				}
				d.history = nil
				d.block(&w, sample[i:i+500])
			}
			w.bits(0, 3)
			w.align()
			return w.out
		}),
		built("dynamic", "blocks with codes of their own", func() []byte { return standardFlate(sample, flate.BestCompression) }),
		built("huffman-only", "a block without any reference", func() []byte { return standardFlate(sample, flate.HuffmanOnly) }),
		built("flushed", "a flush after every 300 bytes", func() []byte { return standardFlate(sample, flate.BestSpeed) }),
		tailCase("tail-superfluous", "the four bytes of the tail left on the message", append(standardFlate(sample, 6), 0, 0, 0xff, 0xff), string(sample)),
	}
}

// standardFlate compresses by compress/flate, flushing now and then.
func standardFlate(b []byte, level int) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		panic(err) // the levels are the package's own
	}
	for part := range slices.Chunk(b, 300) {
		// Writing to a bytes.Buffer does not fail.
		_, _ = w.Write(part)
		if level == flate.BestSpeed {
			_ = w.Flush()
		}
	}
	if level != flate.BestSpeed {
		_ = w.Flush()
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// tailCase leaves the tail on: one more empty block, which means nothing. The
// sender has broken a rule, the receiver need not notice.
func tailCase(id, title string, b []byte, want string) Case {
	return Case{ID: "blocks." + id, Title: title, Rule: ruleZip, steps: plan(sends(zippedBytes(b...)), leftOpen(echoes(opText, want)))}
}

func zipFragments() []Case {
	sample := string(jsonSample(2000))
	cut := func(size int, between ...frame) Step {
		return Step{Text: fmt.Sprintf("send a compressed message in fragments of %d bytes", size), run: func(s *session) *finding {
			var frames []frame
			for part := range slices.Chunk(s.deflater.message([]byte(sample)), size) {
				frames = append(frames, append([]frame{continuation(string(part)).open()}, between...)...)
			}
			frames[0].opcode, frames[0].reserved = opText, rsv1
			s.send(0, append(frames, continuation(""))...)
			return nil
		}}
	}
	var cases []Case
	for _, size := range []int{1, 7, 100, 1000} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("fragments.%d", size), Title: fmt.Sprintf("a compressed message in fragments of %d bytes", size), Rule: ruleZipBit,
			steps: plan(cut(size), echoes(opText, sample)),
		}, Case{
			ID: fmt.Sprintf("fragments.%d.ping", size), Title: fmt.Sprintf("a compressed message in fragments of %d bytes, with a ping behind each", size), Rule: ruleZipBit,
			steps: plan(cut(size, ping("")), echoes(opText, sample)),
		})
	}
	return append(cases, Case{
		ID: "fragments.rfc", Title: "the RFC's example of two fragments (7.2.3.1)", Rule: ruleExamples,
		steps: plan(sends(zippedBytes(0xf2, 0x48, 0xcd).open(), continuation("\xc9\xc9\x07\x00")), echoes(opText, "Hello")),
	}, Case{
		ID: "fragments.empty-first", Title: "an empty first fragment", Rule: ruleZipBit,
		steps: plan(sends(zippedBytes().open(), continuation("\xf2\x48\xcd\xc9\xc9\x07\x00")), echoes(opText, "Hello")),
	})
}

func zipFaults() []Case {
	bad := func(id, title string, rule Rule, codes []int, frames ...frame) Case {
		return Case{ID: "fault." + id, Title: title, Rule: rule, steps: plan(sends(frames...), fails(codes...))}
	}
	broken := []int{1007, 1002}
	protocol := []int{1002}
	var far bitWriter
	far.bits(0, 1)
	far.bits(1, 2)
	far.literal('a')
	far.copy(10, 20000)
	far.literal(256)
	far.bits(0, 3)
	far.align()
	return []Case{
		bad("block-type", "a block of the reserved type", ruleInflate, broken, zippedBytes(0x06, 0x00)),
		bad("block-type-final", "a block of the reserved type, with BFINAL", ruleInflate, broken, zippedBytes(0x07, 0xff, 0xff)),
		bad("stored-length", "a stored block whose two lengths disagree", ruleInflate, broken, zippedBytes(0x00, 0x05, 0x00, 0x05, 0x00, 'H', 'e', 'l', 'l', 'o', 0x00)),
		bad("stored-cut", "a stored block that is longer than the message", ruleInflate, broken, zippedBytes(0x00, 0x20, 0x00, 0xdf, 0xff, 'H', 'e', 'l', 'l', 'o')),
		bad("distance", "a reference to before the beginning", ruleInflate, broken, zippedBytes(far.out...)),
		bad("plain-text", "a text that is not compressed, marked as compressed", ruleInflate, broken, text("this is no DEFLATE data").bits(rsv1)),
		bad("utf8", "a compressed text that is not UTF-8", ruleUTF8, []int{1007}, zippedBytes(deflated("\xed\xa0\x80")...)),
		bad("utf8-fragments", "a compressed text in two fragments that is not UTF-8", ruleUTF8, []int{1007}, zippedBytes(deflated("caf\xe9!")[:3]...).open(), continuation(string(deflated("caf\xe9!")[3:]))),
		bad("rsv1-ping", "RSV1 on a ping", ruleZipBit, protocol, ping("ping").bits(rsv1)),
		bad("rsv1-pong", "RSV1 on a pong", ruleZipBit, protocol, pong("pong").bits(rsv1)),
		bad("rsv1-close", "RSV1 on a Close frame", ruleZipBit, protocol, closing(1000, "").bits(rsv1)),
		bad("rsv1-continuation", "RSV1 on the second fragment of a message that is not compressed", ruleZipBit, protocol, text("Hel").open(), continuation("lo").bits(rsv1)),
		bad("rsv1-every-fragment", "RSV1 on both fragments", ruleZipBit, protocol, zippedBytes(0xf2, 0x48, 0xcd).open(), continuation("\xc9\xc9\x07\x00").bits(rsv1)),
		bad("rsv2", "RSV2 on a compressed message", ruleReservedBits, protocol, zippedBytes(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00).bits(rsv1|rsv2)),
		bad("rsv3", "RSV3 on a compressed message", ruleReservedBits, protocol, zippedBytes(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00).bits(rsv1|rsv3)),
		bad("rsv2-plain", "RSV2 on a message that is not compressed", ruleReservedBits, protocol, text("Hello").bits(rsv2)),
		bombCase(),
	}
}

func deflated(s string) []byte { return (&deflater{window: 32768}).message([]byte(s)) }

// bombCase inflates to more than any sensible limit. A peer without a limit
// breaks no rule.
func bombCase() Case {
	const size = 100 << 20
	return Case{
		ID: "fault.bomb", Title: "a small message that inflates to 100 MiB", Load: Heavy,
		Rule: rfc6455("10.4", "Who limits the size of messages protects itself against exceeding the limit: after decompression, since that is the message's size."),
		steps: plan(Step{Text: "send 100 MiB of zeros, compressed; expect 1009", kind: expectation, run: func(s *session) *finding {
			s.send(64<<10, data(opBinary, zeros(size)).bits(rsv1))
			s.watch(s.times.Reply, func() bool { return len(s.messages) > 0 || s.over() })
			if s.closed != nil && s.closed.code == 1009 {
				return nil
			}
			if s.wrong != nil || s.closed == nil && s.ended == nil {
				return found(Informational, "the peer took a message of 100 MiB")
			}
			return found(Informational, "the answer was %s", s.ending())
		}}),
	}
}

// zeros compresses n zero bytes without holding them.
func zeros(n int) []byte {
	var w bitWriter
	w.bits(0, 1)
	w.bits(1, 2)
	w.literal(0)
	for n--; n >= 258; n -= 258 {
		w.copy(258, 1)
	}
	for ; n > 0; n-- {
		w.literal(0)
	}
	w.literal(256)
	w.bits(0, 3)
	w.align()
	return w.out
}

func zipVolume() []Case {
	var cases []Case
	for _, n := range []int{16, 64, 256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
		cases = append(cases, Case{
			ID: "volume." + readable(n), Title: fmt.Sprintf("1000 compressed messages of %s", readable(n)), Rule: ruleTakeover, Load: Heavy,
			steps: plan(timed("send and expect the echo, some on the way at a time", 0, func(s *session) *finding { return s.volume(n) })),
		})
	}
	return cases
}

// volume keeps a few messages on the way, so that neither side waits long.
func (s *session) volume(size int) *finding {
	const onTheWay = 4
	corpus := jsonSample(size + 4096)
	payload := func(i int) []byte { at := i * 37 % 4096; return corpus[at : at+size] }
	rounds := s.rounds(1000)
	wire, sent := 0, 0
	for i := range rounds {
		for ; sent < rounds && sent < i+onTheWay; sent++ {
			z := s.deflater.message(payload(sent))
			wire += len(z)
			s.send(0, data(opBinary, z).bits(rsv1))
		}
		if f := s.expectMessage(opBinary, payload(i)); f != nil {
			return f
		}
	}
	s.note("%d bytes a message on the way to the peer", wire/rounds)
	return nil
}

// takeoverCases tell whether the window is kept, or not kept, as agreed.
func takeoverCases() []Case {
	return []Case{{
		ID: "deflate.takeover.rfc", Title: "the RFC's example of two messages, the second a reference to the first (7.2.3.2)", Rule: ruleExamples, opening: takeover.opening(),
		steps: plan(needsClientTakeover(), sends(zippedBytes(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00)), echoes(opText, "Hello"),
			sends(zippedBytes(0xf2, 0x00, 0x11, 0x00, 0x00)), echoes(opText, "Hello")),
	}, {
		ID: "deflate.takeover.over-plain", Title: "a reference over a message that was not compressed", Rule: ruleTakeover, opening: takeover.opening(),
		steps: plan(needsClientTakeover(), sends(zippedBytes(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), text("plain")), echoes(opText, "Hello"), echoes(opText, "plain"),
			sends(zippedBytes(0xf2, 0x00, 0x11, 0x00, 0x00)), echoes(opText, "Hello")),
	}, {
		ID: "deflate.no-takeover.reference", Title: "a reference to the message before, although that was ruled out", Rule: ruleTakeover, opening: noTakeover.opening(),
		steps: plan(sends(zippedBytes(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00)), echoes(opText, "Hello"),
			sends(zippedBytes(0xf2, 0x00, 0x11, 0x00, 0x00)), failsOrEchoesText("Hello")),
	}}
}

// failsOrEchoesText: only the sender is bound not to refer back.
func failsOrEchoesText(tolerated string) Step {
	return Step{Text: "expect a failure with 1007 or 1002; an echo is recorded", kind: expectation, run: func(s *session) *finding {
		s.watch(s.times.Reply, func() bool { return len(s.messages) > 0 || s.over() })
		if len(s.messages) > 0 && string(s.messages[0].payload) == tolerated {
			s.messages = nil
			return found(Informational, "the peer keeps a window that it need not keep")
		}
		return s.expectFailure(nil, []int{1007, 1002})
	}}
}

// needsClientTakeover asks that the suite may refer back.
func needsClientTakeover() Step {
	return Step{Text: "go on only where the suite's side was left its context", run: func(s *session) *finding {
		if s.deflater.fresh != "" {
			return found(Unimplemented, "the peer ruled context takeover out for the suite's side")
		}
		return nil
	}}
}
