// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package view makes of API objects what people are shown: a tree of texts and numbers, in which the state of everything is said in one word. It is
// pure and draws nothing; pkg/view/terminal draws it. What objects mean it asks pkg/rules. No text in a view has control characters: names, labels
// and messages come from users and from members, and none of them may write to a terminal.
package view
