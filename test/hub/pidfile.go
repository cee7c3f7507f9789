// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pidRecord is the content of a pid file. A pid alone may be somebody else's by now; with the time at which the process
// started it names one process only.
type pidRecord struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
	// Identity stands for the command line and the binary: a process whose identity is no longer the wanted one is
	// replaced.
	Identity string `json:"identity"`
}

// readPIDFile returns nil if there is no such file.
func readPIDFile(path string) (*pidRecord, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &pidRecord{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *pidRecord) save(path string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// open returns a handle on the process of the record, or nil if that process has ended.
func (r *pidRecord) open() (*handle, error) {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pid %d: %w", r.PID, err)
	}
	// The descriptor is taken before the start time is read: whatever happens to the pid from here on, it stays on the
	// process that was compared.
	started, err := startTime(r.PID)
	if err != nil || started != r.Started {
		unix.Close(fd)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			err = nil
		}
		return nil, err
	}
	return &handle{fd: fd}, nil
}

// startTime returns the boot and the clock tick at which a process started; os.ErrNotExist if it has ended.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the command in parentheses and may contain anything; the third is the state, the
	// twenty-second the start time.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("pid %d: unexpected /proc stat %q", pid, stat)
	}
	if state := fields[0][0]; state == 'Z' || state == 'X' {
		return "", os.ErrNotExist
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + "/" + string(fields[19]), nil
}

// handle is a descriptor of one process; it never comes to mean another one.
type handle struct{ fd int }

func (h *handle) Close() { unix.Close(h.fd) }

// signal sends s; a process that has ended is no error.
func (h *handle) signal(s unix.Signal) error {
	if err := unix.PidfdSendSignal(h.fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// ended waits at most d for the process to end and reports whether it has.
func (h *handle) ended(d time.Duration) (bool, error) {
	deadline := time.Now().Add(d)
	for {
		fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n > 0, err
	}
}
