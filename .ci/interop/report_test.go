package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chanws/websocket/conformance"

	"github.com/chanws/websocket/.ci/browser"
)

// TestChromiumReport opens a report of the conformance suite as a person does: a
// click on a cell shows the rule and the transcript. What a peer says is text.
func TestChromiumReport(t *testing.T) {
	s := newServer(t)
	cases, err := conformance.Selection{Role: conformance.Server, Include: []string{"framing.text.1"}}.Select(conformance.Cases())
	if err != nil {
		t.Fatal(err)
	}
	markup := `<img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script>`
	agent, err := conformance.TestServer(t.Context(), markup, "ws"+strings.TrimPrefix(s.URL, "http")+"/echo", cases, conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	agent.Results[1].Reason = markup
	agent.Results[1].Verdict = conformance.Fail
	name := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := (conformance.Report{Agents: []*conformance.Agent{agent, agent}}).WriteHTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p := browser.Start(t).Open("file://" + name)
	p.Want(`document.querySelectorAll("button.cell.pass").length + " " + document.querySelectorAll("button.cell.fail").length`, "8 2")
	p.Want(`document.querySelector("thead").textContent.includes("<img")`, true)
	p.Eval(`document.querySelector("button.cell.fail").click()`)
	p.Want(`document.querySelector("dialog").open && document.querySelector("dialog").textContent.includes("RFC 6455, 5.2:")`, true)
	p.Want(`document.querySelector("dialog").textContent.includes("</script><script>")`, true)
	p.Want(`[...document.querySelectorAll(".transcript .sent")].some(e => e.textContent.startsWith("47 45 54 20") && e.textContent.includes("GET /echo"))`, true)
	p.Want(`[...document.querySelectorAll(".transcript tr td:first-child")].every(e => e.textContent.endsWith(" ms"))`, true)
	p.Eval(`document.querySelector("dialog button").click(); document.getElementById("differences").click()`)
	p.Want(`[...document.querySelectorAll("tr.case")].filter(e => !e.hidden).length`, float64(1))
	p.Want(`document.title`, "WebSocket conformance")
	p.Want(`document.querySelectorAll("img").length`, float64(0))
}
