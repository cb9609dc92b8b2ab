"""The family of errors whose message is for the user: one sentence that says what was wrong and what to do.

- `GarmentscopeError`
  - `segmodels.photo.PhotoError`: a file that is no photo, or a damaged one
  - `segmodels.fetch.FetchError`: an address that is not opened, or a file that cannot be had from it
  - `segmodels.device.DeviceError`: a device that is not there
    - `segmodels.inference.memory.DeviceMemoryError`: a single photo that does not fit into its memory
  - `segmodels.checkpoints.errors.CheckpointError`: a checkpoint that is missing, damaged or of another kind
    - `segmodels.hub.errors.HubError`: a checkpoint that cannot be had from the Hub
      - `segmodels.hub.errors.HubUnreachableError`: a Hub that does not answer
  - `segmodels.evaluation.evidence.EvidenceError`: a damaged `evidence.parquet`
  - `segmodels.evaluation.results.ResultsError`: a `metrics.json` of a newer version
  - `segmodels.mappings.MappingError`: a mapping between taxonomies that cannot be used, or that is missing
  - `segmodels.taxonomy.TaxonomyError`: classes that make no taxonomy
  - `segmodels.datasets.DatasetError`: a data set that is missing, damaged or of another layout
  - `segmodels.archive.place.ArchiveError`: an archive that cannot be read or written
    - `segmodels.archive.care.NoPhotoError`: a choice of photos that none meets
  - `segmodels.archive.outfits.NotEnoughError`: an archive with too few outfits for a question
  - `dashboard.api.limits.LimitsError`: limits of the HTTP API that cannot be used
  - `dashboard.api.problems.ProblemError`: a request to the HTTP API that cannot be answered
  - `dashboard.api.tokens.TokenError`: a token, or a file of tokens, that cannot be used
  - `dashboard.compare.ground_truth.MaskError`: a ground truth that cannot be used
  - `dashboard.dataset.folder.FolderError`: a folder that is not Clothing Co-Parsing
  - `dashboard.dataset.shipped.StatisticsError`: statistics of a data set that cannot be read
  - `dashboard.evaluation.pictures.PictureError`: a photo or a class map of the evidence that cannot be shown
  - `dashboard.trends.deck.TemplateError`: a template for slides that cannot be used
  - `train.publishing.export.ExportError`: a network that cannot be exported
  - `train.recipe.RecipeError`: a recipe that cannot be used
  - `train.resume.FitError`: a fit that cannot start or go on
  - `train.segmentation.pretrained.PretrainedError`: weights to start from that cannot be had
  - `segmodels.client.ApiError`: an answer of the HTTP API that is a problem

All but the last three are `ValueError`s as well, those three `RuntimeError`s.
"""

from __future__ import annotations

__all__ = ["GarmentscopeError"]


class GarmentscopeError(Exception):
    """Base of all errors of Garmentscope whose message is for the user."""
