module github.com/chanws/websocket

go 1.25
