package web

import (
	"fmt"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A graph is a row of bars with what belongs to it: an axis, a sentence that says the
// same, and the numbers in a table. It is drawn on a field of 600 by 100 that the page
// stretches; what is to be read stands beside it, as text.
type graph struct {
	ID, Title string
	Tone      string // the colour of the bars
	Total     int64
	Summary   string
	Top, Half int64 // the values at the top of the axis and in its middle
	Bars      []bar
	Labels    []string // along the axis of time, at equal distances
	Rows      []graphRow
	Of        string // what the table counts
	URL       string // the messages that are meant
}

// A bar is a rectangle, in units of the field.
type bar struct {
	X, Y, Width, Height float64
	Text                string // when, and how many
}

type graphRow struct {
	When string
	N    int64
}

const graphWidth, graphHeight = 600, 100

// A flow is a kind of mail that a graph shows.
type flow struct {
	id, title, tone string
	words           phrase.Flow
	outcome         string // to search for
	n               func(store.Traffic) int64
}

var flows = []flow{
	{"in", "In", "info", phrase.FlowIn, "", func(t store.Traffic) int64 { return t.Received }},
	{"out", "Out", "good", phrase.FlowOut, "sent", func(t store.Traffic) int64 { return t.Sent }},
	{"deferred", "Deferred", "warn", phrase.FlowDeferred, "deferred", func(t store.Traffic) int64 { return t.Deferred }},
	{"bounced", "Bounced", "bad", phrase.FlowBounced, "bounced", func(t store.Traffic) int64 { return t.Bounced }},
	{"refused", "Refused", "quiet", phrase.FlowRefused, "refused", func(t store.Traffic) int64 { return t.Rejected }},
}

// graphsOf draws the traffic over a span.
func graphsOf(traffic []store.Traffic, over string) []graph {
	graphs := make([]graph, len(flows))
	for i, f := range flows {
		graphs[i] = f.graph(traffic, over)
	}
	return graphs
}

func (f flow) graph(traffic []store.Traffic, over string) graph {
	g := graph{ID: f.id, Title: f.title, Tone: f.tone, Of: f.words.Counted, Labels: labelsOf(traffic, over)}
	most := 0
	for i, t := range traffic {
		n := f.n(t)
		g.Total += n
		g.Rows = append(g.Rows, graphRow{partOf(t, over), n})
		if n > f.n(traffic[most]) {
			most = i
		}
	}
	if len(traffic) == 0 {
		return g
	}
	search := searchForm{Outcome: f.outcome, Since: traffic[0].From.Format("2006-01-02 15:04")}
	g.URL = search.url("", "")
	g.Summary = f.words.Amount(g.Total, over, f.n(traffic[most]), whenOf(traffic[most], over))
	g.draw()
	return g
}

// draw makes the bars. What isn't zero can be seen, however small it is.
func (g *graph) draw() {
	var most int64
	for _, row := range g.Rows {
		most = max(most, row.N)
	}
	g.Top = roundTop(most)
	g.Half = g.Top / 2
	step := float64(graphWidth) / float64(len(g.Rows))
	for i, row := range g.Rows {
		if row.N == 0 {
			continue
		}
		height := max(2, graphHeight*float64(row.N)/float64(g.Top))
		g.Bars = append(g.Bars, bar{
			X: float64(i)*step + step*0.1, Y: graphHeight - height, Width: step * 0.8, Height: height,
			Text: fmt.Sprintf("%s: %s", row.When, phrase.Number(row.N)),
		})
	}
}

// roundTop returns a round number at or above n, whose half is one too.
func roundTop(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, top := range []int64{2 * unit, 4 * unit, 10 * unit} {
			if n <= top {
				return top
			}
		}
	}
}

// partOf names a part of a span for the table.
func partOf(t store.Traffic, over string) string {
	if over == admin.OverMonth {
		return t.From.Format("Mon, 2 Jan")
	}
	return t.From.Format("15:04") + " to " + t.To.Format("15:04")
}

// whenOf says when that was, in a sentence.
func whenOf(t store.Traffic, over string) string {
	switch over {
	case admin.OverHour:
		return "at " + t.From.Format("15:04")
	case admin.OverDay:
		return "between " + t.From.Format("15:04") + " and " + t.To.Format("15:04")
	}
	return "on " + t.From.Format("Mon, 2 Jan")
}

// labelsOf writes along the axis of time: where each quarter begins, and its end.
func labelsOf(traffic []store.Traffic, over string) []string {
	layout := "15:04"
	if over == admin.OverMonth {
		layout = "2 Jan"
	}
	var labels []string
	const quarters = 4
	for i := range quarters {
		if at := i * len(traffic) / quarters; at < len(traffic) {
			labels = append(labels, traffic[at].From.Format(layout))
		}
	}
	return append(labels, "now")
}

// A span is a choice of how far back the graphs go.
type span struct {
	Text, URL string
	Chosen    bool
}

func spansOf(chosen string) []span {
	var spans []span
	for _, s := range []string{admin.OverHour, admin.OverDay, admin.OverMonth} {
		spans = append(spans, span{"Last " + s, "/?over=" + s + "#traffic", s == chosen})
	}
	return spans
}

// An ageRow is a part of the queue that has waited for so long.
type ageRow struct {
	Text string
	N    int64
	Bar  int64 // of the largest, in percent
}

func agesOf(ages []admin.QueueAge) []ageRow {
	var most int64 = 1
	for _, a := range ages {
		most = max(most, a.N)
	}
	rows := make([]ageRow, len(ages))
	for i, a := range ages {
		rows[i] = ageRow{phrase.Waited(a.From, a.To), a.N, a.N * 100 / most}
	}
	return rows
}
