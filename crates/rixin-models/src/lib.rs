//! The model registry: manifests, file formats, sources, downloads, licences, the catalogue.
