// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
)

var (
	// ageHeaders are the columns whose cells differ from one run to the next.
	ageHeaders = sets.New("AGE", "MEMBER-AGENT-LAST-SEEN")

	age         = regexp.MustCompile(`^([0-9]+[smhdy])+$`)
	columnBreak = regexp.MustCompile(` {2,}`)
)

// table is what kubectl get prints.
type table struct {
	Header []string
	Rows   [][]string
}

// parseTable reads a table. The cells of a row that has one for each column may stand anywhere, since a table in a document
// need not be aligned; otherwise each cell stands under its header.
func parseTable(text string) (table, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	header := strings.TrimRight(lines[0], " ")
	if header == "" {
		return table{}, errors.New("there is no table")
	}
	result := table{Header: columnBreak.Split(header, -1)}
	starts := make([]int, 0, len(result.Header))
	for _, name := range result.Header {
		from := 0
		if n := len(starts); n > 0 {
			from = starts[n-1] + len(result.Header[n-1])
		}
		starts = append(starts, from+strings.Index(header[from:], name))
	}
	for _, line := range lines[1:] {
		line = strings.TrimRight(line, " ")
		if cells := columnBreak.Split(line, -1); len(cells) == len(result.Header) {
			result.Rows = append(result.Rows, cells)
			continue
		}
		row := make([]string, len(starts))
		for i, start := range starts {
			end := len(line)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			if start < end {
				row[i] = strings.TrimSpace(line[start:end])
			}
		}
		result.Rows = append(result.Rows, row)
	}
	return result, nil
}

// compareTables returns an error unless both texts are the same table: header, rows in order, cells; ages and times aside.
func compareTables(want, got string) error {
	wantTable, err := parseTable(want)
	if err != nil {
		return fmt.Errorf("in the document: %w", err)
	}
	gotTable, err := parseTable(got)
	if err != nil {
		return err
	}
	for _, t := range []table{wantTable, gotTable} {
		maskAges(t)
	}
	if diff := cmp.Diff(wantTable, gotTable); diff != "" {
		return fmt.Errorf("the table differs (-document +printed):\n%s\nprinted:\n%s", diff, got)
	}
	return nil
}

func maskAges(t table) {
	for i, name := range t.Header {
		for _, row := range t.Rows {
			if ageHeaders.Has(name) && age.MatchString(row[i]) {
				row[i] = "(an age)"
			}
			row[i] = timestamp.ReplaceAllString(row[i], "(a time)")
		}
	}
}
