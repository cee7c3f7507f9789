// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/stagegate/stagegate/pkg/view"
)

// cellStates are the states of clusters in the order of a legend, the class of their color, and the word for them.
var cellStates = []struct {
	State view.ClusterState
	Class string
	Word  string
}{
	{view.ClusterFailed, "failed", "failed"},
	{view.ClusterHeld, "held", "held"},
	{view.ClusterUpdating, "updating", "updating"},
	{view.ClusterUpdated, "updated", "updated"},
	{view.ClusterSkipped, "skipped", "skipped"},
	{view.ClusterPending, "pending", "not yet"},
}

// fewClusters is up to how many clusters a stage shows by name. More are cells.
const fewClusters = 30

// columnsFor returns how many cells a row has: few large ones, or many small ones. It is one number for all stages of a run, so that the sizes compare.
func columnsFor(largestStage int) int {
	switch {
	case largestStage <= 600:
		return 60
	case largestStage <= 2500:
		return 102
	}
	return 170
}

// stripWidth is the width of a strip in its own units.
const stripWidth = 1020

// strip draws one cell for each cluster of a stage, row by row: one path for each state, in which neighbors are one rectangle, and a grid over them.
// However many clusters there are, it is a handful of elements.
func strip(cells []view.Cells, columns int) template.HTML {
	total := 0
	for _, c := range cells {
		total += c.Count
	}
	if total == 0 {
		return ""
	}
	size := stripWidth / columns
	paths := map[view.ClusterState]*strings.Builder{}
	counts := map[view.ClusterState]int{}
	at := 0
	for _, c := range cells {
		counts[c.State] += c.Count
		path := paths[c.State]
		if path == nil {
			path = &strings.Builder{}
			paths[c.State] = path
		}
		for left := c.Count; left > 0; {
			column, row := at%columns, at/columns
			width, height := min(left, columns-column), 1
			if column == 0 && left >= columns {
				height = left / columns
			}
			fmt.Fprintf(path, "M%d %dh%dv%dh-%dz", column*size, row*size, width*size, height*size, width*size)
			at += width * height
			left -= width * height
		}
	}
	rows := (total + columns - 1) / columns
	used := min(total, columns)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="strip strip-%d" role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d" data-columns="%d" data-clusters="%d">`,
		columns, template.HTMLEscapeString(countsInWords(counts)), used*size, rows*size, used*size, rows*size, columns, total)
	for _, s := range cellStates {
		if path := paths[s.State]; path != nil {
			fmt.Fprintf(&b, `<path class="fill-%s" d="%s"/>`, s.Class, path.String())
		}
	}
	b.WriteString(`<path class="grid" d="`)
	for column := range used + 1 {
		fmt.Fprintf(&b, "M%d 0V%d", column*size, rows*size)
	}
	for row := range rows + 1 {
		fmt.Fprintf(&b, "M0 %dH%d", row*size, used*size)
	}
	b.WriteString(`"/></svg>`)
	// Numbers and the constant words above are all that is in it.
	return template.HTML(b.String()) //nolint:gosec // see above.
}

// countsInWords returns "3 failed, 2 updating, 95 updated".
func countsInWords(counts map[view.ClusterState]int) string {
	var words []string
	for _, s := range cellStates {
		if n := counts[s.State]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s.Word))
		}
	}
	return strings.Join(words, ", ")
}

// barWidth is the width of a bar in its own units.
const barWidth = 1000

// least is the least width of a part of a bar: a failure is not rounded away.
const least = 8

// bar draws the shares of a run's clusters.
func bar(p view.Progress) template.HTML {
	parts := []struct {
		class string
		n     int
	}{{"updated", p.Updated}, {"skipped", p.Skipped}, {"failed", p.Failed}, {"updating", p.Updating}}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="bar" aria-hidden="true" viewBox="0 0 %d 8" preserveAspectRatio="none"><rect class="fill-pending" width="%d" height="8"/>`, barWidth, barWidth)
	x := 0
	for _, part := range parts {
		if part.n == 0 || p.Clusters == 0 {
			continue
		}
		width := min(max(part.n*barWidth/p.Clusters, least), barWidth-x)
		fmt.Fprintf(&b, `<rect class="fill-%s" x="%d" width="%d" height="8"/>`, part.class, x, width)
		x += width
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers and constant words.
}
