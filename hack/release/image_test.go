// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"
)

// The repository of the tests has programs that build in seconds, in the places of ours. They tell what they find in their image.
const (
	testMain = `package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/stagegate/stagegate/pkg/version"
)

func main() {
	_, zone := time.LoadLocation("Europe/Paris")
	roots, trusts := x509.SystemCertPool()
	fmt.Println(version.Stamps(), os.Getuid(), os.Getgid(), zone, trusts, roots.Equal(x509.NewCertPool()))
}
`
	testStamps = `package version

var stamp, commit, treeState, date string

func Stamps() string { return stamp + " " + commit + " " + treeState + " " + date }
`
)

func sh(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-03-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-03-01T12:00:00Z")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// testRepository commits the programs of the tests beside our manifests.
func testRepository(t *testing.T) string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := filepath.Join(t.TempDir(), "first")
	for name, text := range map[string]string{
		"go.mod":                  "module github.com/stagegate/stagegate\n\ngo 1.26.0\n",
		"cmd/apiserver/main.go":   testMain,
		"cmd/memberagent/main.go": testMain,
		"pkg/version/version.go":  testStamps,

		"cmd/kubectl-stagegate/main.go": "package main\n\nfunc main() {}\n",
		"LICENSE":                       "a license",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "artifacts"), os.DirFS(filepath.Join(repository, "artifacts"))); err != nil {
		t.Fatal(err)
	}
	sh(t, dir, "git", "init", "-q")
	sh(t, dir, "git", "add", ".")
	sh(t, dir, "git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "x")
	return dir
}

// sums are the digests of all files below a directory.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	if err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		found[strings.TrimPrefix(name, dir)] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAReleaseIsMadeAgainByteForByte makes it of two clones in directories of different names, of which one has a tag, with other settings
// for Go.
func TestAReleaseIsMadeAgainByteForByte(t *testing.T) {
	first := testRepository(t)
	second := filepath.Join(t.TempDir(), "elsewhere", "second")
	sh(t, filepath.Dir(first), "git", "clone", "-q", first, second)
	sh(t, second, "git", "tag", "v9.9.9")
	const version, platforms = "v0.1.0", "linux/amd64,linux/arm64"
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two", version)
	if err := makeRelease(t.Context(), first, version, platforms, "registry.example.com/fleet", "https://downloads.example.com/v0.1.0", one); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "-buildvcs=true -trimpath=false")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("CGO_ENABLED", "1")
	if err := makeRelease(t.Context(), second, version, platforms, "registry.example.com/fleet", "https://downloads.example.com/v0.1.0/", two); err != nil {
		t.Fatal(err)
	}
	want, got := sums(t, one), sums(t, two)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	var names []string
	for _, p := range programs {
		names = append(names, p.name+".oci.tar", p.name+"_linux_amd64", p.name+"_linux_arm64", p.name+"_linux_amd64.spdx.json", p.name+"_linux_arm64.spdx.json")
	}
	for _, name := range append(names, "install.yaml", "install-cert-manager.yaml", "images.txt", "stagegate-0.1.0.tgz", "stagegate-member-agent-0.1.0.tgz", "SHA256SUMS") {
		if want["/"+name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	holdsPlugin(t, one)
	sh(t, one, "sha256sum", "--check", "--strict", "SHA256SUMS")
	install, err := os.ReadFile(filepath.Join(one, "install.yaml"))
	if err != nil || !strings.Contains(string(install), "image: registry.example.com/fleet/stagegate-apiserver:v0.1.0\n") {
		t.Errorf("install.yaml has another image (%v)", err)
	}
}

// holdsPlugin holds the plugin of a release for each system, and that krew finds it where its manifest says.
func holdsPlugin(t *testing.T, release string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(release, "stagegate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := krewManifest{}
	if err := yaml.UnmarshalStrict(data, &manifest); err != nil {
		t.Fatal(err)
	}
	want := sets.New("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64")
	for _, p := range manifest.Spec.Platforms {
		on := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		if !want.Has(on) {
			t.Errorf("%s is there twice, or should not be", on)
		}
		want.Delete(on)
		archive, found := strings.CutPrefix(p.URI, "https://downloads.example.com/v0.1.0/")
		packed, err := os.ReadFile(filepath.Join(release, archive))
		if !found || err != nil || fmt.Sprintf("%x", sha256.Sum256(packed)) != p.Sha256 {
			t.Errorf("%s is at %s with the digest %s: %v", on, p.URI, p.Sha256, err)
		}
		dir := t.TempDir()
		sh(t, dir, "tar", "-xzf", filepath.Join(release, archive))
		for _, name := range []string{p.Bin, "LICENSE"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || name == p.Bin && info.Mode()&0o111 == 0 {
				t.Errorf("%s of %s: %v", name, archive, err)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("the manifest lacks %v", sets.List(want))
	}
}

func TestNothingThatSomebodyHasIsOverwritten(t *testing.T) {
	dir := testRepository(t)
	full := t.TempDir()
	kept := filepath.Join(full, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Somebody may have put something beside an earlier image, whose removal may have been cut off.
	beside := t.TempDir()
	for _, name := range []string{"oci-layout", "kept"} {
		if err := os.WriteFile(filepath.Join(beside, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rest := t.TempDir()
	if err := os.Mkdir(filepath.Join(rest, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := removeLayout(rest); err != nil {
		t.Errorf("the rest of an earlier image is kept: %v", err)
	}
	for name, err := range map[string]error{
		"a release into a full directory": makeRelease(t.Context(), dir, "v0.1.0", "linux/amd64", "", "", full),
		"an image over what is none":      removeLayout(full),
		"an image over one with more":     removeLayout(beside),
		"a version that is none":          makeRelease(t.Context(), dir, "0.1", "linux/amd64", "", "", filepath.Join(t.TempDir(), "x")),
	} {
		if err == nil {
			t.Errorf("%s is made", name)
		}
	}
	for _, file := range []string{kept, filepath.Join(beside, "kept")} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module github.com/stagegate/stagegate\n\ngo 1.26.0\n\n// changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeRelease(t.Context(), dir, "v0.1.0", "linux/amd64", "", "", filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "commit or stash") {
		t.Errorf("a release of files that are not committed: %v", err)
	}
}

// TestAnImageRunsFromItsOwnFiles starts the program of an image with the image as its root, as its user: what it needs is in there.
func TestAnImageRunsFromItsOwnFiles(t *testing.T) {
	dir, out := testRepository(t), t.TempDir()
	on := platform{"linux", runtime.GOARCH}
	if err := makeImages(t.Context(), dir, "v0.1.0", on.String(), "", out); err != nil {
		t.Fatal(err)
	}
	// Again, over what is there.
	if err := makeImages(t.Context(), dir, "v0.1.0", on.String(), "", out); err != nil {
		t.Fatal(err)
	}
	if err := makeImages(t.Context(), dir, "v0.1.0", on.String(), "apiserver", t.TempDir()); err == nil {
		t.Error("the image of no program is made")
	}
	commit := sh(t, dir, "git", "rev-parse", "HEAD")
	for _, p := range programs {
		path := filepath.Join(out, p.name)
		index, err := layout.ImageIndexFromPath(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
		image, err := imageFor(index, on)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Config.User != userAndGroup || !cmp.Equal(config.Config.Entrypoint, []string{"/" + p.name}) || config.Config.Labels["org.opencontainers.image.revision"] != commit {
			t.Errorf("%s is configured as %+v", p.name, config.Config)
		}
		root := filepath.Join(t.TempDir(), "root")
		if err := unpack(path, on, root); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/" + p.name)
		cmd.Dir, cmd.Env = "/", []string{}
		const id = 65532
		if os.Getuid() == 0 {
			// Chroot needs the way to the root to be open to the user.
			for parent := filepath.Dir(root); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
				if err := os.Chmod(parent, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: id, Gid: id}}
		} else {
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}},
			}
		}
		printed, err := cmd.CombinedOutput()
		if errors.Is(err, os.ErrPermission) {
			t.Skipf("nobody but root may change the root here, not even in a namespace of its own: %v", err)
		}
		want := fmt.Sprintf("v0.1.0 %s clean 2026-03-01T12:00:00Z 65532 65532 <nil> <nil> false\n", commit)
		if err != nil || string(printed) != want {
			t.Errorf("%s prints %s(%v), want %s", p.name, printed, err, want)
		}
	}
}

// TestAnSBOMNamesEveryModule makes that of this test, which has many.
func TestAnSBOMNamesEveryModule(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "x.spdx.json")
	if err := writeSBOM(source{version: "v0.1.0"}, self, target); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	var document spdxDocument
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	ids, names := map[string]bool{document.SPDXID: true}, map[string]bool{}
	for _, p := range document.Packages {
		if ids[p.SPDXID] {
			t.Errorf("%s is there twice", p.SPDXID)
		}
		ids[p.SPDXID], names[p.Name] = true, true
	}
	for _, r := range document.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("%+v is about something that is not there", r)
		}
	}
	for _, name := range []string{"stdlib", rootsModule, "github.com/google/go-containerregistry", "sigs.k8s.io/yaml"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if len(document.Relationships) != len(document.Packages) {
		t.Errorf("there are %d relationships of %d packages", len(document.Relationships), len(document.Packages))
	}
}

// TestTheAuthoritiesAreMany holds that the image trusts what is signed by authorities without conditions.
func TestTheAuthoritiesAreMany(t *testing.T) {
	roots, err := authorities()
	if err != nil || strings.Count(string(roots), "BEGIN CERTIFICATE") < 80 {
		t.Errorf("there are %d authorities (%v)", strings.Count(string(roots), "BEGIN CERTIFICATE"), err)
	}
}
