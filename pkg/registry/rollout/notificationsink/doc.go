// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notificationsink serves NotificationSinks. It must not know how anything is delivered.
package notificationsink
