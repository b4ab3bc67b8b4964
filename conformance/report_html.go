package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Parse(reportPage))

// htmlReport is what the page shows: agents side by side, a row for each case.
type htmlReport struct {
	Agents  []htmlAgent
	Groups  []htmlGroup
	Columns int
	Details template.JS
}

// htmlDetails is what the page's script knows: what is the same for every
// agent stands in it once.
type htmlDetails struct {
	Cases map[string]htmlCaseDetail `json:"cases"`
	Cells map[string]htmlCellDetail `json:"cells"`
}

type htmlCaseDetail struct {
	Title string   `json:"title"`
	Rule  Rule     `json:"rule"`
	Steps []string `json:"steps"`
}

type htmlCellDetail struct {
	Case       string   `json:"case"`
	Verdict    Verdict  `json:"verdict"`
	Reason     string   `json:"reason,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	Transcript []Entry  `json:"transcript"`
}

type htmlAgent struct {
	Name, Role, Elapsed string
	Counts              []htmlCount
}

type htmlCount struct {
	Class, Verdict string
	Number         int
}

type htmlGroup struct {
	Name  string
	Cases []htmlCase
}

type htmlCase struct {
	ID, Title, Rule string
	Cells           []htmlCell
}

type htmlCell struct {
	Class, Text, Key string
}

// WriteHTML writes the report as one page that needs nothing else: styles,
// script and every transcript are inside.
func (r Report) WriteHTML(w io.Writer) error {
	results := make(map[string]Result)
	details := htmlDetails{Cases: make(map[string]htmlCaseDetail), Cells: make(map[string]htmlCellDetail)}
	page := htmlReport{Columns: len(r.Agents) + 2}
	for i, a := range r.Agents {
		page.Agents = append(page.Agents, htmlAgentOf(a))
		for _, one := range a.Results {
			results[cellKey(i, one.ID)] = one
			details.Cases[one.ID] = htmlCaseDetail{one.Title, one.Rule, one.Steps}
			details.Cells[cellKey(i, one.ID)] = htmlCellDetail{one.ID, one.Verdict, one.Reason, one.Notes, one.Transcript}
		}
	}
	for _, id := range r.caseIDs() {
		page.addRow(id, len(r.Agents), results)
	}
	// json.Marshal escapes <, > and & so that no transcript can end the script.
	encoded, err := json.Marshal(details)
	if err != nil {
		return err
	}
	page.Details = template.JS(encoded)
	return reportTemplate.Execute(w, page)
}

func htmlAgentOf(a *Agent) htmlAgent {
	agent := htmlAgent{Name: a.Name, Role: a.Role, Elapsed: fmt.Sprintf("%.1f s", a.Elapsed.Seconds())}
	counts := a.Count()
	for _, v := range Verdicts() {
		if counts[v] > 0 {
			agent.Counts = append(agent.Counts, htmlCount{classOf(v), v.String(), counts[v]})
		}
	}
	return agent
}

func classOf(v Verdict) string { return strings.ReplaceAll(v.String(), " ", "-") }

func cellKey(agent int, id string) string { return fmt.Sprintf("%d/%s", agent, id) }

// caseIDs lists the cases that any agent has run, in the order of the first
// agent that ran them.
func (r Report) caseIDs() []string {
	var ids []string
	seen := make(map[string]int)
	for _, a := range r.Agents {
		for _, result := range a.Results {
			if seen[result.ID]++; seen[result.ID] == 1 {
				ids = append(ids, result.ID)
			}
		}
	}
	return ids
}

// addRow adds a case under its group.
func (p *htmlReport) addRow(id string, agents int, details map[string]Result) {
	row := htmlCase{ID: id}
	group := ""
	for i := range agents {
		result, ok := details[cellKey(i, id)]
		if !ok {
			row.Cells = append(row.Cells, htmlCell{Class: "absent", Text: "not run"})
			continue
		}
		row.Title, row.Rule, group = result.Title, result.Rule.Document+" "+result.Rule.Section, string(result.Group)
		row.Cells = append(row.Cells, htmlCell{Class: classOf(result.Verdict), Text: result.Verdict.String(), Key: cellKey(i, id)})
	}
	i := slices.IndexFunc(p.Groups, func(g htmlGroup) bool { return g.Name == group })
	if i < 0 {
		i = len(p.Groups)
		p.Groups = append(p.Groups, htmlGroup{Name: group})
	}
	p.Groups[i].Cases = append(p.Groups[i].Cases, row)
}
