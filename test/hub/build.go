// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// kubeVersion, etcdVersion and kwokVersion are what the binaries call themselves; they are the versions in go.mod.
	kubeVersion = "v1.37.2"
	etcdVersion = "3.7.3"
	kwokVersion = "v0.8.0"

	// kubeName is the binary that is all the tools in one.
	kubeName = "kube"
	// assetsVariable names a directory with binaries of Kubernetes, as it does for other projects' tests.
	assetsVariable = "KUBEBUILDER_ASSETS"
	// progressInterval is how often a build says how far it is.
	progressInterval = 15 * time.Second
	// versionTimeout is how long a binary that was found may take to say its version.
	versionTimeout = 10 * time.Second
)

// tool is a binary of Kubernetes that an environment needs.
type tool struct {
	name string
	// version begins the line that the binary prints first when it is called with versionArgs. It ends that line, or a space follows.
	version     string
	versionArgs []string
}

var kubeTools = []tool{
	{"etcd", "etcd Version: " + etcdVersion, []string{"--version"}},
	{"kube-apiserver", "Kubernetes " + kubeVersion, []string{"--version"}},
	{"kube-controller-manager", "Kubernetes " + kubeVersion, []string{"--version"}},
	{"kube-scheduler", "Kubernetes " + kubeVersion, []string{"--version"}},
	{kwokBinary, kwokBinary + " version " + kwokVersion, []string{"--version"}},
	{"kubectl", "Client Version: " + kubeVersion, []string{"version", "--client"}},
}

// KubeIsBuilt reports whether the next Up finds all binaries of Kubernetes in place.
func KubeIsBuilt(options Options) (bool, error) {
	l, err := newLayout(options.Root, options.Dir)
	if err != nil {
		return false, err
	}
	current, _, err := kubeIsCurrent(l)
	return current, err
}

// kubeIsCurrent reports whether the binaries are those of this module, and returns the stamp that says so. They depend on nothing but
// the go tool, go.mod and what the command links, and asking the go tool takes it several seconds.
func kubeIsCurrent(l layout) (bool, string, error) {
	module := kubeModule(l)
	stamp, err := buildStamp(kubeFlags(), filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum"),
		filepath.Join(module, "cmd", kubeName, "main.go"))
	if err != nil {
		return false, "", err
	}
	current, _ := os.ReadFile(l.bin(".kube-stamp"))
	missing := slices.ContainsFunc(kubeTools, func(t tool) bool { return !exists(l.bin(t.name)) })
	return string(current) == stamp && !missing, stamp, nil
}

// provideKube puts the tools in place: those of the right version that are in KUBEBUILDER_ASSETS or on the PATH, and for the rest one
// binary that is built from this module's dependencies, which takes about nine minutes on two cores the first time.
func provideKube(ctx context.Context, l layout, out io.Writer) error {
	current, stamp, err := kubeIsCurrent(l)
	if err != nil || current {
		return err
	}
	if err := os.MkdirAll(l.binDir(), 0o755); err != nil {
		return err
	}
	var missing []string
	for _, t := range kubeTools {
		found := t.find(ctx, l.binDir())
		if found == "" {
			missing = append(missing, t.name)
			continue
		}
		fmt.Fprintf(out, "using %s\n", found)
		if err := copyBinary(found, l.bin(t.name)); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "building %s %s from source: about 9 minutes on two cores, once\n", strings.Join(missing, ", "), kubeVersion)
		if err := buildShown(ctx, out, kubeModule(l), "./cmd/kube", l.bin(kubeName)); err != nil {
			return err
		}
		for _, name := range missing {
			if err := os.Remove(l.bin(name)); err != nil && !os.IsNotExist(err) {
				return err
			}
			if err := os.Symlink(kubeName, l.bin(name)); err != nil {
				return err
			}
		}
	}
	return writeFile(l.bin(".kube-stamp"), []byte(stamp))
}

// kubeModule is the module from which the binaries of Kubernetes are built. A repository of an earlier version, which has no command for
// them, gets those of the one that this runs in.
func kubeModule(l layout) string {
	module := filepath.Join(l.root, "test", "hub")
	if exists(filepath.Join(module, "cmd", kubeName)) {
		return module
	}
	if root, err := FindRoot(); err == nil {
		return filepath.Join(root, "test", "hub")
	}
	return module
}

func kubeFlags() string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubeVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const version = "k8s.io/component-base/version."
	return fmt.Sprintf("-X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s", version, kubeVersion, version, major, version, minor)
}

// find returns the path of the tool in the right version, empty where there is none but in the directory that is left out.
func (t tool) find(ctx context.Context, except string) string {
	directories := filepath.SplitList(os.Getenv("PATH"))
	if assets := os.Getenv(assetsVariable); assets != "" {
		directories = slices.Insert(directories, 0, assets)
	}
	for _, dir := range directories {
		path, err := exec.LookPath(filepath.Join(dir, t.name))
		if dir == "" || dir == except || err != nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, versionTimeout)
		printed, err := exec.CommandContext(asking, path, t.versionArgs...).Output()
		cancel()
		first, _, _ := strings.Cut(string(printed), "\n")
		if rest, ok := strings.CutPrefix(first, t.version); err == nil && ok && (rest == "" || rest[0] == ' ') {
			return path
		}
	}
	return ""
}

// copyBinary makes target a copy of a binary: what is found today may be another version tomorrow.
func copyBinary(source, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	// A new file: one that is being run cannot be written to.
	out, err := os.CreateTemp(filepath.Dir(target), ".copy-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(0o755)
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", source, err)
	}
	return os.Rename(out.Name(), target)
}

// buildServer builds stagegate-apiserver from the repository. The go tool leaves a binary that is current untouched.
func buildServer(ctx context.Context, l layout) error {
	return goBuild(ctx, l.root, "-o", l.bin(serverName), "./cmd/apiserver")
}

// BuildEtcdTools builds etcdctl and etcdutl beside the other binaries, which takes a minute the first time. They are of a module of their
// own: in the binary that is all the other tools they would change what kubectl takes for a command.
func (e *Environment) BuildEtcdTools(ctx context.Context) error {
	return goBuild(ctx, etcdToolsModule(e.layout), "-o", e.binDir()+string(filepath.Separator),
		"go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3")
}

func etcdToolsModule(l layout) string { return filepath.Join(l.root, "test", "hub", "etcdtools") }

func goBuild(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("in %s: go build %s: %w\n%s", dir, args[len(args)-1], err, out)
	}
	return nil
}

// buildShown builds the binaries of Kubernetes, and says now and then how far it is.
func buildShown(ctx context.Context, out io.Writer, dir, pkg, target string) error {
	start := time.Now()
	fmt.Fprintln(out, "  downloading modules and listing what there is to compile")
	listing := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "-ldflags", kubeFlags(), pkg)
	listing.Dir = dir
	var problem bytes.Buffer
	listing.Stderr = &problem
	listed, err := listing.Output()
	if err != nil {
		return fmt.Errorf("in %s: go list %s: %w\n%s", dir, pkg, err, problem.String())
	}
	total := len(strings.Fields(string(listed)))

	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-ldflags", kubeFlags(), "-o", target, pkg)
	cmd.Dir = dir
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	ticks := time.NewTicker(progressInterval)
	defer ticks.Stop()
	compiled, printed := 0, []string{}
	for open := true; open; {
		var line string
		select {
		case line, open = <-lines:
			if !open {
				break
			}
			compiled++
			printed = append(printed, line)
		case <-ticks.C:
			what := fmt.Sprintf("%d of %d packages", min(compiled, total), total)
			if compiled >= total {
				what = "linking"
			}
			fmt.Fprintf(out, "  %s, %s\n", what, time.Since(start).Round(time.Second))
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("in %s: go build %s: %w\n%s", dir, pkg, err, strings.Join(printed[max(0, len(printed)-logTailLines):], "\n"))
	}
	fmt.Fprintf(out, "  built in %s\n", time.Since(start).Round(time.Second))
	return nil
}

func buildStamp(ldflags string, files ...string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%s", runtime.Version(), ldflags)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "\x00%s", data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
