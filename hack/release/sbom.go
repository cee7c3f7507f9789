// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// The part of SPDX 2.3 that tells which modules a binary was linked from.
type (
	spdxDocument struct {
		SPDXVersion       string             `json:"spdxVersion"`
		DataLicense       string             `json:"dataLicense"`
		SPDXID            string             `json:"SPDXID"`
		Name              string             `json:"name"`
		DocumentNamespace string             `json:"documentNamespace"`
		CreationInfo      spdxCreation       `json:"creationInfo"`
		Packages          []spdxPackage      `json:"packages"`
		Relationships     []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID           string         `json:"SPDXID"`
		Name             string         `json:"name"`
		VersionInfo      string         `json:"versionInfo"`
		PackageFileName  string         `json:"packageFileName,omitempty"`
		DownloadLocation string         `json:"downloadLocation"`
		FilesAnalyzed    bool           `json:"filesAnalyzed"`
		LicenseConcluded string         `json:"licenseConcluded"`
		LicenseDeclared  string         `json:"licenseDeclared"`
		CopyrightText    string         `json:"copyrightText"`
		Checksums        []spdxChecksum `json:"checksums,omitempty"`
		ExternalRefs     []spdxRef      `json:"externalRefs,omitempty"`
		PrimaryPurpose   string         `json:"primaryPackagePurpose,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const noAssertion = "NOASSERTION"

// writeSBOM writes which modules a binary was linked from, as it says itself, and whose certificates its image has.
func writeSBOM(s source, binary, target string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("SBOM of %s: %w", binary, err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	digest, name := hex.EncodeToString(sum[:]), filepath.Base(binary)
	document := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name:              name + " " + s.version,
		DocumentNamespace: "https://github.com/stagegate/stagegate/spdx/" + name + "/" + digest,
		CreationInfo:      spdxCreation{s.date.Format(time.RFC3339), []string{"Organization: The Stagegate Authors", "Tool: stagegate-release"}},
	}
	add := func(p spdxPackage, relation, to string) {
		p.DownloadLocation, p.LicenseConcluded, p.CopyrightText = noAssertion, noAssertion, noAssertion
		if p.LicenseDeclared == "" {
			p.LicenseDeclared = noAssertion
		}
		document.Packages = append(document.Packages, p)
		if relation == "DESCRIBES" {
			document.Relationships = append(document.Relationships, spdxRelationship{to, relation, p.SPDXID})
		} else {
			document.Relationships = append(document.Relationships, spdxRelationship{p.SPDXID, relation, to})
		}
	}
	const ours = "SPDXRef-binary"
	add(spdxPackage{
		SPDXID: ours, Name: name, VersionInfo: s.version, PackageFileName: name, LicenseDeclared: "Apache-2.0", PrimaryPurpose: "APPLICATION",
		Checksums: []spdxChecksum{{"SHA256", digest}}, ExternalRefs: []spdxRef{purl(info.Main.Path, s.version)},
	}, "DESCRIBES", document.SPDXID)
	version := strings.TrimPrefix(info.GoVersion, "go")
	add(spdxPackage{SPDXID: "SPDXRef-go", Name: "stdlib", VersionInfo: version, ExternalRefs: []spdxRef{purl("stdlib", version)}}, "STATIC_LINK", ours)
	for i, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(module(fmt.Sprintf("SPDXRef-module-%d", i), m), "STATIC_LINK", ours)
	}
	own, _ := debug.ReadBuildInfo()
	for _, m := range own.Deps {
		if m.Path == rootsModule {
			add(module("SPDXRef-roots", m), "DATA_FILE_OF", ours)
		}
	}
	encoded, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(target, append(encoded, '\n'), 0o644)
}

func module(id string, m *debug.Module) spdxPackage {
	return spdxPackage{SPDXID: id, Name: m.Path, VersionInfo: m.Version, ExternalRefs: []spdxRef{purl(m.Path, m.Version)}}
}

func purl(path, version string) spdxRef {
	return spdxRef{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")}
}
