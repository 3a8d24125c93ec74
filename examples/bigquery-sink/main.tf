# What `observe.bigquery` reads: a dataset, and a sink of Cloud Logging that writes the requests of a namespace into it, in
# tables that are partitioned on `timestamp`. Formatted by terraform, never applied: Google's service was not reached.

terraform {
  required_providers {
    google = { source = "hashicorp/google", version = ">= 5.0" }
  }
}

variable "project" {
  description = "Project of the clusters and of the dataset; observe.bigquery.project."
  type        = string
}

variable "dataset" {
  description = "Name of the dataset; observe.bigquery.dataset."
  type        = string
}

variable "location" {
  description = "Where the dataset is; observe.bigquery.location."
  type        = string
}

variable "namespace" {
  description = "Namespace of the service in its clusters."
  type        = string
}

variable "keep_days" {
  description = "Partitions that are older are deleted."
  type        = number
  default     = 30
}

resource "google_bigquery_dataset" "logs" {
  project                         = var.project
  dataset_id                      = var.dataset
  location                        = var.location
  default_partition_expiration_ms = var.keep_days * 24 * 60 * 60 * 1000
}

# Widen the filter where the agent leaves the request inside jsonPayload.
resource "google_logging_project_sink" "requests" {
  project                = var.project
  name                   = "slipway-${var.dataset}"
  destination            = "bigquery.googleapis.com/projects/${var.project}/datasets/${google_bigquery_dataset.logs.dataset_id}"
  filter                 = "resource.type=\"k8s_container\" AND resource.labels.namespace_name=\"${var.namespace}\" AND httpRequest.status>0"
  unique_writer_identity = true

  # Without it there is one table for each day, and none that the queries would find.
  bigquery_options {
    use_partitioned_tables = true
  }
}

resource "google_bigquery_dataset_iam_member" "sink" {
  project    = var.project
  dataset_id = google_bigquery_dataset.logs.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_logging_project_sink.requests.writer_identity
}
