package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// jsonTexts are messages of exactly size bytes that look like what services
// send: names that repeat from message to message, values that do not.
func jsonTexts(n, size int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("alpha account balance cancel created delivery east element failed gateway harbour " +
		"invoice journal kettle ledger market north order pending quantity region settled transfer updated " +
		"vendor west yield zone")
	texts := make([][]byte, n)
	for i := range texts {
		var b strings.Builder
		fmt.Fprintf(&b, `{"type":"update","seq":%d,"session":"%016x","items":[`, 1000+i, r.Uint64())
		for k := 0; b.Len() < size-160; k++ {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"id":"%08x","name":"%s %s","price":%.2f,"quantity":%d,"active":%t}`,
				r.Uint32(), words[r.IntN(len(words))], words[r.IntN(len(words))],
				r.Float64()*1000, r.IntN(500), r.IntN(2) == 0)
		}
		b.WriteString(`],"note":"`)
		for b.Len() < size-2 {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		texts[i] = []byte(b.String()[:size-2] + `"}`)
	}
	return texts
}
