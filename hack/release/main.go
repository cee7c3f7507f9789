// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release makes what users install: static binaries, OCI images of them, manifests and Helm charts. It needs Go and git, and no container
// engine. What it makes depends on the commit, the version and Go alone, so that everybody can make it again and compare.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"syscall"
)

const usage = `usage: release image|release|unpack [flags]
  image    builds the images as OCI layouts, one directory for each program
  release  builds binaries, images, manifests, charts and their checksums
  unpack   writes the file system of an image into a directory
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	root := flags.String("root", filepath.Join("..", ".."), "repository that is built")
	version := flags.String("version", "", "version that the binaries bear, such as v0.1.0; by default one that names the commit")
	out := flags.String("out", "", "directory that is written")
	list := flags.String("platforms", "linux/amd64,linux/arm64", "platforms that are built")
	switch args[0] {
	case "image":
		one := flags.String("program", "", "program whose image is built, such as stagegate-apiserver; by default all are")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return makeImages(ctx, *root, *version, *list, *one, *out)
	case "release":
		images := flags.String("images", "", "where the images will be, such as registry.example.com/fleet; the program's name is added. By default the name alone")
		downloads := flags.String("downloads", "", "where the files will be, such as https://downloads.example.com/stagegate/v0.1.0, for krew. By default there is no manifest for it")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return makeRelease(ctx, *root, *version, *list, *images, *downloads, *out)
	case "unpack":
		layout := flags.String("layout", "", "directory of the image")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		platforms, err := parsePlatforms(*list)
		if err != nil {
			return err
		}
		on := platform{"linux", runtime.GOARCH}
		if len(platforms) == 1 {
			on = platforms[0]
		}
		return unpack(*layout, on, *out)
	}
	fmt.Fprint(os.Stderr, usage)
	return flag.ErrHelp
}

// makeImages builds a layout of each program in out, or of one alone, and the SBOM of each binary beside it.
func makeImages(ctx context.Context, root, version, list, one, out string) error {
	platforms, err := parsePlatforms(list)
	if err != nil {
		return err
	}
	built := slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return one != "" && p.name != one })
	if len(built) == 0 {
		return fmt.Errorf("-program %q: there is none of that name", one)
	}
	if out == "" {
		return errors.New("-out is missing: the directory for the images")
	}
	s, err := readSource(ctx, root, version)
	if err != nil {
		return err
	}
	binaries, err := os.MkdirTemp("", "stagegate-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(binaries)
	for _, p := range built {
		digest, err := s.makeProgram(ctx, p, platforms, binaries, out)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %s\n", filepath.Join(out, p.name), s.version, digest)
	}
	return nil
}

// makeProgram builds the binaries of a program in one directory, and in another one its image and the SBOMs.
func (s source) makeProgram(ctx context.Context, p program, platforms []platform, binaries, out string) (string, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	binary := func(on platform) string { return filepath.Join(binaries, p.name+"_"+on.os+"_"+on.arch) }
	for _, on := range platforms {
		if err := s.build(ctx, p, on, binary(on)); err != nil {
			return "", err
		}
		if err := writeSBOM(s, binary(on), filepath.Join(out, filepath.Base(binary(on))+".spdx.json")); err != nil {
			return "", err
		}
	}
	digest, err := writeLayout(s, p, platforms, binary, filepath.Join(out, p.name))
	return digest.String(), err
}

// semantic is a version of Go modules and, without its v, of Helm charts. It is part of file names and of tags of images, which have no plus.
var semantic = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$`)
