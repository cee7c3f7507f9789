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
	// oldKubeVersion is that of oldkube/go.mod: the oldest Kubernetes that a hub may be, as docs/operations.md has it.
	oldKubeVersion = "v1.36.3"

	// kubeName is the binary that is all the tools in one.
	kubeName = "kube"
	// oldKube is the module of the oldest Kubernetes, its binary, and the directory of that.
	oldKube = "oldkube"
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

var (
	kubeTools = append([]tool{
		{"etcd", "etcd Version: " + etcdVersion, []string{"--version"}},
		{kwokBinary, kwokBinary + " version " + kwokVersion, []string{"--version"}},
		{"kubectl", "Client Version: " + kubeVersion, []string{"version", "--client"}},
	}, controlPlane(kubeVersion)...)
	oldKubeTools = controlPlane(oldKubeVersion)
)

// controlPlane are the tools that a cluster has of its own.
func controlPlane(version string) []tool {
	var tools []tool
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		tools = append(tools, tool{name, "Kubernetes " + version, []string{"--version"}})
	}
	return tools
}

// distribution is one binary that is several tools of one version of Kubernetes.
type distribution struct {
	version string
	tools   []tool
	// module is the directory of the module that it is built from, pkg the command in it.
	module, pkg string
	// dir is where the tools are, and binary what is built of them there.
	dir, binary string
}

// distributions are what the clusters are made of: those of this module and, for clusters of the oldest Kubernetes, their control planes.
func distributions(l layout, old bool) []distribution {
	module := kubeModule(l)
	all := []distribution{{kubeVersion, kubeTools, module, "./cmd/" + kubeName, l.binDir(), kubeName}}
	if old {
		all = append(all, distribution{oldKubeVersion, oldKubeTools, filepath.Join(module, oldKube), ".", l.bin(oldKube), oldKube})
	}
	return all
}

// KubeIsBuilt reports whether the next Up finds all binaries of Kubernetes in place.
func KubeIsBuilt(options Options) (bool, error) {
	l, err := newLayout(options.Root, options.Dir)
	if err != nil {
		return false, err
	}
	for _, d := range distributions(l, options.OldKubernetes) {
		if current, _, err := d.isCurrent(); err != nil || !current {
			return false, err
		}
	}
	return true, nil
}

// isCurrent reports whether the binaries are those of the module, and returns the stamp that says so. They depend on nothing but
// the go tool, go.mod and what the command links, and asking the go tool takes it several seconds.
func (d distribution) isCurrent() (bool, string, error) {
	stamp, err := buildStamp(d.flags(), filepath.Join(d.module, "go.mod"), filepath.Join(d.module, "go.sum"), filepath.Join(d.module, d.pkg, "main.go"))
	if err != nil {
		return false, "", err
	}
	current, _ := os.ReadFile(d.stampFile())
	missing := slices.ContainsFunc(d.tools, func(t tool) bool { return !exists(filepath.Join(d.dir, t.name)) })
	return string(current) == stamp && !missing, stamp, nil
}

func (d distribution) stampFile() string { return filepath.Join(d.dir, ".kube-stamp") }

// provideKube puts the tools of all clusters in place.
func provideKube(ctx context.Context, l layout, old bool, out io.Writer) error {
	unlock, err := lockBuilds(l)
	if err != nil {
		return err
	}
	defer unlock()
	for _, d := range distributions(l, old) {
		if err := d.provide(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// provide puts the tools in place: those of the right version that are in KUBEBUILDER_ASSETS or on the PATH, and for the rest one
// binary that is built from the module's dependencies, which takes about nine minutes on two cores the first time.
func (d distribution) provide(ctx context.Context, out io.Writer) error {
	current, stamp, err := d.isCurrent()
	if err != nil || current {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	var missing []string
	for _, t := range d.tools {
		found := t.find(ctx, d.dir)
		if found == "" {
			missing = append(missing, t.name)
			continue
		}
		fmt.Fprintf(out, "using %s\n", found)
		if err := copyBinary(found, filepath.Join(d.dir, t.name)); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "building %s %s from source: about 9 minutes on two cores, once\n", strings.Join(missing, ", "), d.version)
		if err := d.build(ctx, out); err != nil {
			return err
		}
		for _, name := range missing {
			link := filepath.Join(d.dir, name)
			if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
				return err
			}
			if err := os.Symlink(d.binary, link); err != nil {
				return err
			}
		}
	}
	return writeFile(d.stampFile(), []byte(stamp))
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

// flags have the binaries know their version.
func (d distribution) flags() string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(d.version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const version = "k8s.io/component-base/version."
	return fmt.Sprintf("-X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s", version, d.version, version, major, version, minor)
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

// pluginName is the plugin of kubectl, which stands beside kubectl.
const pluginName = "kubectl-stagegate"

// buildServer builds stagegate-apiserver and the plugin of kubectl from the repository. The go tool leaves a binary that is current untouched.
func buildServer(ctx context.Context, l layout) error {
	unlock, err := lockBuilds(l)
	if err != nil {
		return err
	}
	defer unlock()
	if err := goBuild(ctx, l.root, "-o", l.bin(serverName), "./cmd/apiserver"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(l.root, "cmd", pluginName)); os.IsNotExist(err) {
		// An earlier version has none.
		return nil
	}
	return goBuild(ctx, l.root, "-o", l.bin(pluginName), "./cmd/"+pluginName)
}

// BuildEtcdTools builds etcdctl and etcdutl beside the other binaries, which takes a minute the first time. They are of a module of their
// own: in the binary that is all the other tools they would change what kubectl takes for a command.
func (e *Environment) BuildEtcdTools(ctx context.Context) error {
	unlock, err := lockBuilds(e.layout)
	if err != nil {
		return err
	}
	defer unlock()
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

// build builds the binary, and says now and then how far it is.
func (d distribution) build(ctx context.Context, out io.Writer) error {
	start := time.Now()
	fmt.Fprintln(out, "  downloading modules and listing what there is to compile")
	listing := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "-ldflags", d.flags(), d.pkg)
	listing.Dir = d.module
	var problem bytes.Buffer
	listing.Stderr = &problem
	listed, err := listing.Output()
	if err != nil {
		return fmt.Errorf("in %s: go list %s: %w\n%s", d.module, d.pkg, err, problem.String())
	}
	total := len(strings.Fields(string(listed)))

	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-ldflags", d.flags(), "-o", filepath.Join(d.dir, d.binary), d.pkg)
	cmd.Dir = d.module
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
		return fmt.Errorf("in %s: go build %s: %w\n%s", d.module, d.pkg, err, strings.Join(printed[max(0, len(printed)-logTailLines):], "\n"))
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
