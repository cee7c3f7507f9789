// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// makeRelease builds everything that is published of a version into a directory that must be empty or absent.
func makeRelease(ctx context.Context, root, version, list, images, downloads, out string) error {
	platforms, err := parsePlatforms(list)
	if err != nil {
		return err
	}
	if !semantic.MatchString(version) {
		return fmt.Errorf("-version %q: a release is called as v0.1.0 or v0.1.0-rc.1", version)
	}
	if entries, err := os.ReadDir(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	} else if len(entries) > 0 {
		return fmt.Errorf("%s is not empty, and is kept: delete it, or name another directory with -out", out)
	}
	s, err := readSource(ctx, root, version)
	if err != nil {
		return err
	}
	if s.dirty {
		return fmt.Errorf("files in %s differ from commit %s, so that nobody could make this release again: commit or stash them", root, s.commit)
	}
	// A release is there as a whole or not at all.
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(out), ".release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := s.fill(ctx, unfinished, platforms, images, downloads); err != nil {
		return err
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(unfinished, out); err != nil {
		return err
	}
	fmt.Println(out)
	return nil
}

func (s source) fill(ctx context.Context, dir string, platforms []platform, images, downloads string) error {
	var digests bytes.Buffer
	names := map[string]imageName{}
	for _, p := range programs {
		digest, err := s.makeProgram(ctx, p, platforms, dir, dir)
		if err != nil {
			return err
		}
		names[p.name] = imageName{repository: strings.TrimPrefix(strings.TrimSuffix(images, "/")+"/"+p.name, "/"), tag: s.version}
		fmt.Fprintf(&digests, "%s:%s@%s\n", names[p.name].repository, s.version, digest)
		layout := filepath.Join(dir, p.name)
		if err := packLayout(layout, layout+".oci.tar", s.date); err != nil {
			return err
		}
		if err := os.RemoveAll(layout); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "images.txt"), digests.Bytes(), 0o644); err != nil {
		return err
	}
	for name, components := range map[string][]string{"install.yaml": nil, "install-cert-manager.yaml": {"deploy/cert-manager"}} {
		objects, err := overlay{resources: []string{"deploy/base", "rbac"}, components: components, images: names}.build(s.dir)
		if err != nil {
			return err
		}
		data, err := encode(objects)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	for _, c := range []func(string, string, map[string]imageName) (chart, error){serverChart, agentChart} {
		made, err := c(s.dir, s.version, names)
		if err != nil {
			return err
		}
		if err := made.pack(dir, s.date); err != nil {
			return err
		}
	}
	if err := s.makePlugin(ctx, platforms, downloads, dir); err != nil {
		return err
	}
	return writeChecksums(dir)
}

// packLayout makes one file of a layout, as tools take it.
func packLayout(dir, target string, date time.Time) error {
	var files []file
	if err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		files = append(files, file{filepath.ToSlash(relative), 0o644, data})
		return err
	}); err != nil {
		return err
	}
	data, err := archive(files, date)
	if err != nil {
		return err
	}
	return os.WriteFile(target, data, 0o644)
}

func compress(data []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	if _, err := writer.Write(data); err != nil {
		return nil, err
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

// writeChecksums writes SHA256SUMS of all files, as sha256sum -c reads it.
func writeChecksums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), entry.Name())
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), sums.Bytes(), 0o644)
}
