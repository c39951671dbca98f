"""Models that the tests of the command line share."""

from __future__ import annotations

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

from tests.cli.small_models import Model, write_model


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that ends in int8 logits."""
    return write_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that ends in int8 features."""
    return write_model(tmp_path_factory.mktemp("models"), classifier=False)
