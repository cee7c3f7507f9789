// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import "testing"

func TestTablesAreComparedByCell(t *testing.T) {
	const document = `NAME    GEN   AVAILABLE   AGE
first   1                 51s
`
	for name, tc := range map[string]struct {
		want, got string
		equal     bool
	}{
		"another age":      {document, "NAME    GEN   AVAILABLE   AGE\nfirst   1                 2m3s\n", true},
		"other widths":     {document, "NAME       GEN   AVAILABLE   AGE\nfirst      1                 2m3s  \n", true},
		"no age":           {document, "NAME    GEN   AVAILABLE   AGE\nfirst   1                 <unknown>\n", false},
		"a filled blank":   {document, "NAME    GEN   AVAILABLE   AGE\nfirst   1     True        51s\n", false},
		"another column":   {document, "NAME    GEN   AVAILABLE   AGE   MORE\nfirst   1                 51s   x\n", false},
		"another order":    {document, "NAME    AVAILABLE   GEN   AGE\nfirst               1     51s\n", false},
		"a row more":       {document, document + "second   1                51s\n", false},
		"nothing":          {document, "", false},
		"full, misaligned": {"NAME  GEN  AGE\nquite-a-long-name   1   5s\n", "NAME                GEN   AGE\nquite-a-long-name   1     1s\n", true},
	} {
		if err := compareTables(tc.want, tc.got); (err == nil) != tc.equal {
			t.Errorf("%s: equal should be %t, got: %v", name, tc.equal, err)
		}
	}
}
