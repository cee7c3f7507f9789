// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// enableColor has the console obey escape sequences, and reports whether it does.
func enableColor(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	var mode uint32
	handle := windows.Handle(file.Fd())
	if windows.GetConsoleMode(handle, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
