package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// begin opens the connection as a stream where the options say so, and gives the
// handshake then; else, and where the server has no such streams, it gives the
// network connection to upgrade.
func (d *dialing) begin(ctx context.Context, c *Conn) (*handshake, net.Conn, error) {
	if d.opts.RoundTripper == nil {
		conn, err := d.connect(ctx)
		return nil, conn, err
	}
	h, err := d.tunnel(ctx, c)
	var upgrade *negotiate.UpgradeError
	switch {
	case err == nil:
		return h, nil, nil
	case !errors.As(err, &upgrade):
		return nil, nil, err
	case upgrade.Conn != nil:
		return nil, upgrade.Conn, nil
	}
	conn, err := d.connect(ctx)
	return nil, conn, err
}

// tunnel sends an extended CONNECT. Its request lives as long as the connection, so
// ctx ends it only until there is a response.
func (d *dialing) tunnel(ctx context.Context, c *Conn) (*handshake, error) {
	request := d.connectRequest()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &requestTransport{out: newUpstream(), cancel: cancel, remote: streamAddr(d.target.Address)}
	request.Body = t.out
	request = request.WithContext(httptrace.WithClientTrace(life, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.local, t.remote = info.Conn.LocalAddr(), info.Conn.RemoteAddr()
		},
	}))
	stop := context.AfterFunc(ctx, cancel)
	response, err := d.opts.RoundTripper.RoundTrip(request)
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	t.in = response.Body
	err = d.consumeConnect(response)
	if err != nil && err != errRedirected {
		err = t.refusal(response, err)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		t.close()
		d.request.Pipeline.Close()
		return nil, err
	}
	head := *response
	head.Request, head.Body = nil, http.NoBody
	return &handshake{
		transport:   t,
		reader:      c.readerFor(negotiate.Hybi13, d.request.Pipeline),
		writer:      clientEncoder,
		pipeline:    d.request.Pipeline,
		version:     negotiate.Hybi13,
		subprotocol: d.request.Subprotocol,
		target:      d.target.URL,
		response:    &head,
	}, nil
}

// consumeConnect looks at the response. The error is errRedirected where another URL is to
// be tried.
func (d *dialing) consumeConnect(response *http.Response) error {
	d.keepCookies(response.Header)
	err := d.request.ConsumeConnect(response.StatusCode, response.Header)
	var refused *negotiate.ResponseError
	if errors.As(err, &refused) {
		return d.follow(refused)
	}
	return err
}

// connectRequest makes the extended CONNECT, in both of the ways in which clients
// take the protocol: in HTTP/3 as Proto, which others do not look at.
func (d *dialing) connectRequest() *http.Request {
	header, host := d.request.ConnectHeader()
	// "The scheme of the Target URI MUST be https for wss-schemed WebSockets and
	// http for ws-schemed WebSockets" (RFC 8441, section 5).
	u := &url.URL{
		Scheme: "http", Host: d.target.URL.Host,
		Path: d.target.URL.Path, RawPath: d.target.URL.RawPath, RawQuery: d.target.URL.RawQuery,
	}
	if d.target.Secure {
		u.Scheme = "https"
	}
	return &http.Request{
		Method: http.MethodConnect, URL: u, Host: host, Header: header,
		Proto: "websocket", ContentLength: -1,
	}
}

// refusal makes the error of a response, with the beginning of its body.
func (t *requestTransport) refusal(response *http.Response, err error) error {
	t.setReadDeadline(time.Now().Add(lingerTimeout))
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	return &HandshakeError{
		Status: response.StatusCode, Header: response.Header, Body: body, Err: err,
		protocol: response.StatusCode/100 == 2,
	}
}
