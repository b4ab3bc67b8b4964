/*
Package websocket is WebSocket (RFC 6455), server and client, over channels.

A [Conn] is received from by channels, so that it takes its place in a select beside
timers, other connections and the end of the program, and sent to by methods that
take a context:

	for {
		select {
		case m, ok := <-ws.Messages():
			if !ok {
				end := <-ws.Closed()
				log.Print(end.Code, " ", end.Reason)
				return
			}
			if err := ws.Send(ctx, m); err != nil {
				log.Print(err)
			}
		case <-ticker.C:
			ws.Send(ctx, websocket.Text("tick"))
		case <-shutdown:
			shutdown = nil
			go ws.Close(context.Background(), websocket.StatusGoingAway, "restarting")
		}
	}

# Servers

[Accept] completes the handshake in an [http.Handler] and answers a request that is
not right:

	http.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Abort()
		// the loop above
	})

[Handler] makes a handler of a function that serves a connection. [AcceptConn] does
without net/http, on a [net.Conn].

Pages of other hosts are refused with 403, as browsers let any page connect anywhere
with the user's cookies; [AcceptOptions] has OriginPatterns for those that may.

[http.Server.Shutdown] neither closes nor waits for WebSockets that came over HTTP/1.1,
and waits for those that came over HTTP/2 or HTTP/3. Give the connections a Context in
[AcceptOptions] that ends with the server, by [http.Server.RegisterOnShutdown], and
wait for the handlers.

# Clients

[Dial] returns when the connection is open or has failed to, [Open] at once, as the
constructor of a browser does: what is sent before the connection is open waits in
the queue.

	ws, err := websocket.Dial(ctx, "wss://example.com/chat", nil)

The context of a call, of Dial as of [Conn.Send], bounds that call alone; with that of
[Conn.Close] the connection ends too. A connection that is to end with a context has it
in its options.

# Receiving

[Conn.Messages] gives the messages in order and is closed after the last one. Then,
and not before, [Conn.Closed] gives the [CloseEvent] that tells how it ended: a
select that sees both ready has no message left to lose.

A message belongs to its receiver. [Message.Release] may give its memory back for
reuse; who does not call it leaves it to the garbage collector.

Who stops receiving stops the reading of the connection, so that the peer can not
send more than the receiver takes. Pings of the peer, its close frame and the loss of
the connection are not noticed meanwhile. So receive until Messages is closed, or end
the connection with [Conn.Close] or [Conn.Abort].

[Conn.Errors] is for logs. Nobody has to receive from it.

# Sending

[Conn.Send] queues a message, or writes it at once where nothing waits. It takes all
of a message or nothing: on an error nothing of it is sent, and the connection goes
on if it was not the connection that failed. The bytes are the caller's again when it
returns. The queue is bounded, in messages and in bytes; where it is full Send waits
and [Conn.TrySend] returns [ErrQueueFull]. [Conn.Flush] waits until the queue has
been written.

A message for many connections is made ready with [Prepare], which encodes and
compresses it once, and sent with [Conn.SendPrepared] or, to all of them and without
waiting for any, with [Broadcast].

Messages too large to hold go in parts, with [Conn.SendFragment], and come in parts
with the option Fragments.

# Closing

[Conn.Close] sends what is queued and a close frame, and waits for the peer's.
Messages may come until then: in a select loop call it in a goroutine of its own, and
go on to receive until Messages is closed. If nobody receives meanwhile, what comes is
discarded after a second.

When the peer closes, what is queued and what the application answers to the messages
before the close frame is sent first. The answer to the last of them has 250 ms, where
the application has called Messages before each, as a select loop does; in a range over
the channel, and to a message that is the first of all, 20 ms: there nothing tells when
the application has done with it. Later ones get [ErrClosed].

[Conn.Abort] ends the connection at once. It is right in a defer: after Close it does
nothing. A connection that has ended leaves no goroutine.

# Errors

Calls on a connection that is closing or closed return an error that is [ErrClosed]
for [errors.Is]; a [*CloseError] in its chain tells the code and reason, and whose
they were. Close and Abort may be called then: Close returns what ended the
connection, nil for a clean close. Failed handshakes are a [*HandshakeError] with the
status and headers, violations of the protocol a [*ProtocolError] that names the
rule's section, calls that can not be carried out as they were made a [*UsageError],
and peers that are silent for too long a [*TimeoutError].

# Limits

Received messages have at most MaxMessageSize bytes, 2^26-1 if not set. Memory grows
with the bytes received, not with the length that a header claims. Handshakes are
bounded in size and time. All options have their defaults in their comments.

# Packages

Package codec has the frames and package negotiate the handshakes, both without I/O,
for those who bring their own.
*/
package websocket
