// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 50 * time.Millisecond
	stopTimeout   = 20 * time.Second
	logTailLines  = 25
)

// process is one process of an environment, as it is wanted.
type process struct {
	name string
	path string
	args []string
	// pod is set for a process that sees nothing but the file system of an image: path is in it then.
	pod *pod
	// ready asks once whether the process serves; it is asked again until it returns nil.
	ready func(context.Context) error
}

// identity changes with the command line and with the binary. A new build is a new file, and the inode of a file that is
// being run is not given to another; its times say nothing, since the go tool touches what it finds current.
func (p process) identity() (string, error) {
	path := p.path
	if p.pod != nil {
		path = filepath.Join(p.pod.root, path)
	}
	binary, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stat, ok := binary.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New(path + ": no inode")
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%d\x00%d\x00%s", path, stat.Dev, stat.Ino, strings.Join(p.args, "\x00"))
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// supervisor starts and stops the processes of one environment.
type supervisor struct {
	layout
	out io.Writer
}

// ensure returns when the process runs as wanted and is ready. One that runs with another command line or binary is stopped
// first.
func (s supervisor) ensure(ctx context.Context, p process) error {
	identity, err := p.identity()
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	record, err := readPIDFile(s.pidFile(p.name))
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if record == nil || record.Identity != identity || !record.running() {
		if err := s.stop(p.name); err != nil {
			return err
		}
		if record, err = s.start(p, identity); err != nil {
			return fmt.Errorf("starting %s: %w", p.name, err)
		}
	}
	return s.waitReady(ctx, p, record)
}

func (r *pidRecord) running() bool {
	h, err := r.open()
	if err != nil || h == nil {
		return false
	}
	h.Close()
	return true
}

// start runs the process in a session of its own, so that it outlives the command and its terminal.
func (s supervisor) start(p process, identity string) (*pidRecord, error) {
	if err := os.MkdirAll(filepath.Dir(s.logFile(p.name)), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.logFile(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.pod != nil {
		p.pod.enter(cmd)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// Reaps the process if it ends while this command still runs.
	go func() { _ = cmd.Wait() }()

	record := &pidRecord{PID: cmd.Process.Pid, Identity: identity}
	// One that ends meanwhile is not there, or cannot be read any more.
	if record.Started, err = startTime(record.PID); errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, s.failure(p.name, "exited at once")
	} else if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.out, "started %s (pid %d)\n", p.name, record.PID)
	return record, record.save(s.pidFile(p.name))
}

func (s supervisor) waitReady(ctx context.Context, p process, record *pidRecord) error {
	h, err := record.open()
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if h == nil {
		return s.failure(p.name, "exited")
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		notReady := p.ready(ctx)
		if notReady == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return s.failure(p.name, fmt.Sprintf("is not ready: %v: %v", err, notReady))
		}
		if ended, err := h.ended(readyInterval); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		} else if ended {
			return s.failure(p.name, "exited")
		}
	}
}

// stop ends a process of this environment and forgets it. It does nothing if the process has ended already.
func (s supervisor) stop(name string) error {
	record, err := readPIDFile(s.pidFile(name))
	if record == nil || err != nil {
		return err
	}
	h, err := record.open()
	if err != nil {
		return fmt.Errorf("stopping %s: %w", name, err)
	}
	if h != nil {
		defer h.Close()
		if err := h.terminate(); err != nil {
			return fmt.Errorf("stopping %s (pid %d): %w", name, record.PID, err)
		}
		fmt.Fprintf(s.out, "stopped %s (pid %d)\n", name, record.PID)
	}
	return os.Remove(s.pidFile(name))
}

// terminate asks the process to end, and kills it when it takes too long.
func (h *handle) terminate() error {
	if err := h.signal(unix.SIGTERM); err != nil {
		return err
	}
	if ended, err := h.ended(stopTimeout); ended || err != nil {
		return err
	}
	return h.kill()
}

func (h *handle) kill() error {
	if err := h.signal(unix.SIGKILL); err != nil {
		return err
	}
	if ended, err := h.ended(stopTimeout); err != nil {
		return err
	} else if !ended {
		return errors.New("it survives SIGKILL")
	}
	return nil
}

// failure is an error about a process, with the end of its log.
func (s supervisor) failure(name, what string) error {
	path := s.logFile(name)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s %s", name, what)
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	tail := bytes.Join(lines[max(0, len(lines)-logTailLines):], []byte("\n"))
	return fmt.Errorf("%s %s; %s ends with:\n%s", name, what, path, tail)
}
