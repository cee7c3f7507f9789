// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import "fmt"

// ExternalMode says when a resource snapshot is made for a placement with the External strategy.
type ExternalMode string

const (
	// Automatic makes one about a second after what is selected changes. It is the default.
	Automatic ExternalMode = "Automatic"
	// OnRun makes one when a run asks for the present content of the hub, and only then. Such placements are not watched.
	OnRun ExternalMode = "OnRun"
)

// ParseExternalMode reads Automatic or OnRun. Anything else is an error that names both.
func ParseExternalMode(s string) (ExternalMode, error) {
	switch mode := ExternalMode(s); mode {
	case Automatic, OnRun:
		return mode, nil
	}
	return "", fmt.Errorf("%q is no mode of external snapshots; there are %s and %s", s, Automatic, OnRun)
}

// Set implements pflag.Value.
func (m *ExternalMode) Set(s string) error {
	mode, err := ParseExternalMode(s)
	if err == nil {
		*m = mode
	}
	return err
}

// String implements pflag.Value.
func (m *ExternalMode) String() string { return string(*m) }

// Type implements pflag.Value.
func (*ExternalMode) Type() string { return "mode" }
