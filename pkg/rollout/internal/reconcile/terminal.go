// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"fmt"
)

// TerminalError is an error that trying again does not mend: only a user can, by a change that is an event.
type TerminalError struct{ err error }

// Terminalf returns a TerminalError with the message of fmt.Errorf.
func Terminalf(format string, args ...any) error { return &TerminalError{fmt.Errorf(format, args...)} }

func (e *TerminalError) Error() string { return e.err.Error() }

// Unwrap returns what the message wraps.
func (e *TerminalError) Unwrap() error { return errors.Unwrap(e.err) }

// IsTerminal reports whether an error is a TerminalError or wraps one. Errors that are joined are not terminal, since another of them
// may be worth another try.
func IsTerminal(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := err.(*TerminalError); ok { //nolint:errorlint // errors.As would look into joined errors too
			return true
		}
	}
	return false
}
