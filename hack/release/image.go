// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// rootsModule has the authorities that Mozilla trusts, as the Go team publishes them.
	rootsModule = "golang.org/x/crypto/x509roots/fallback"
	rootsFile   = "etc/ssl/certs/ca-certificates.crt"
	// user and group are those of the manifests.
	userAndGroup = "65532:65532"
	// refName annotates the image of a layout with its version, by which tools find it.
	refName = "org.opencontainers.image.ref.name"
)

type file struct {
	name string // from the root, without a slash before it
	mode int64
	data []byte
}

// archive is a tar of files that belong to root, with the directories that they are in. The same files at the same time are the same bytes.
func archive(files []file, date time.Time) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	directories := map[string]bool{}
	for _, f := range files {
		for i, c := range f.name {
			if c != '/' || directories[f.name[:i]] {
				continue
			}
			directories[f.name[:i]] = true
			if err := writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: f.name[:i+1], Mode: 0o755, ModTime: date, Format: tar.FormatUSTAR}); err != nil {
				return nil, err
			}
		}
		if err := writer.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: date, Format: tar.FormatUSTAR,
		}); err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

// authorities are the certificates of rootsModule, in PEM. Those that are trusted only for what they signed until some date are left out,
// since a file cannot say so.
func authorities() ([]byte, error) {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rootsModule, err)
		}
		fmt.Fprintf(&all, "# %s\n", certificate.Subject)
		if err := pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

func layer(date time.Time, files ...file) (v1.Layer, error) {
	content, err := archive(files, date)
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
}

// newImage is an image of nothing but the binary and the authorities.
func newImage(s source, p program, on platform, binary string) (v1.Image, error) {
	roots, err := authorities()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, f := range []file{{rootsFile, 0o644, roots}, {p.name, 0o755, data}} {
		content, err := layer(s.date, f)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: content, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: s.date}, CreatedBy: "stagegate-release", Comment: "/" + f.name},
		})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = on.os, on.arch, v1.Time{Time: s.date}
	config.Config = v1.Config{User: userAndGroup, Entrypoint: []string{"/" + p.name}, WorkingDir: "/", Labels: s.annotations(p)}
	return mutate.ConfigFile(image, config)
}

func (s source) annotations(p program) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    p.title,
		"org.opencontainers.image.version":  s.version,
		"org.opencontainers.image.revision": s.commit,
		"org.opencontainers.image.created":  s.date.Format(time.RFC3339),
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source":   "https://github.com/stagegate/stagegate",
	}
}

// writeLayout writes an OCI layout with one index, which has the image of each platform, and returns the digest of that index. What was in the
// directory before is deleted if it was a layout.
func writeLayout(s source, p program, platforms []platform, binary func(platform) string, dir string) (v1.Hash, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, on := range platforms {
		image, err := newImage(s, p, on, binary(on))
		if err != nil {
			return v1.Hash{}, fmt.Errorf("image of %s for %s: %w", p.name, on, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: on.os, Architecture: on.arch}},
		})
	}
	annotated, ok := mutate.Annotations(index, s.annotations(p)).(v1.ImageIndex)
	if !ok {
		return v1.Hash{}, errors.New("an index with annotations is none")
	}
	if err := removeLayout(dir); err != nil {
		return v1.Hash{}, err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.AppendIndex(annotated, layout.WithAnnotations(map[string]string{refName: s.version})); err != nil {
		return v1.Hash{}, err
	}
	return annotated.Digest()
}

// removeLayout deletes an earlier layout, and nothing else that somebody has in the directory.
func removeLayout(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	} else if err != nil {
		return err
	}
	// A layout whose removal was cut off may lack some of these.
	for _, entry := range entries {
		if !slices.Contains([]string{"oci-layout", "index.json", "blobs"}, entry.Name()) {
			return fmt.Errorf("%s has %s, which is of no image, and is kept: name another directory with -out", dir, entry.Name())
		}
	}
	return os.RemoveAll(dir)
}

// unpack writes the file system of the image for a platform into a directory that does not exist yet. Everything in it belongs to who runs this.
func unpack(dir string, on platform, target string) error {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	image, err := imageFor(index, on)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer root.Close()
	content := mutate.Extract(image)
	defer content.Close()
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name := strings.TrimSuffix(header.Name, "/")
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, header.FileInfo().Mode().Perm())
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(reader); err == nil {
				err = root.WriteFile(name, data, header.FileInfo().Mode().Perm())
			}
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", name)
		}
		if err != nil {
			return err
		}
	}
}

func imageFor(index v1.ImageIndex, on platform) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			return imageFor(inner, on)
		case d.Platform != nil && d.Platform.OS == on.os && d.Platform.Architecture == on.arch:
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("no image for %s", on)
}
