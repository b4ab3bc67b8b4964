package deflate

import "github.com/chanws/websocket/negotiate"

// Name is the registered name of the extension (RFC 7692, section 9.1).
const Name = "permessage-deflate"

// An Extension is permessage-deflate with its options, for any number of
// connections of either role. Make one with [New].
type Extension struct {
	options   Options
	level     int // 0: the default
	threshold int
}

var _ negotiate.Extension = (*Extension)(nil)

// New returns the extension. Nil options are valid. Later changes to opts have
// no effect. It panics if a level or a number of window bits is out of range.
func New(opts *Options) *Extension {
	e := &Extension{threshold: DefaultThreshold}
	if opts == nil {
		return e
	}
	if err := opts.check(); err != nil {
		panic(err)
	}
	e.options, e.level = *opts, opts.Level
	if opts.Threshold != 0 {
		e.threshold = opts.Threshold
	}
	return e
}

// Name returns [Name].
func (e *Extension) Name() string { return Name }

// Reserved returns RSV1, which marks a compressed message (RFC 7692, section 6).
func (e *Extension) Reserved() negotiate.Reserved { return negotiate.RSV1 }
