"""What every network accepts as input, and what it returns without its head."""

import pytest
import torch

from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config
from support.naive import random_codes, randomise
from support.networks import EVERY_NETWORK


@pytest.mark.parametrize(("network", "config"), EVERY_NETWORK.values(), ids=EVERY_NETWORK)
def test_an_input_that_is_not_a_sequence_is_refused(
    network: type[CoverageModel], config: Config
) -> None:
    model = network(config).model  # type: ignore[arg-type]
    codes = torch.from_numpy(random_codes(256)[None])
    for inputs in (codes[0], codes.float(), codes[..., None]):
        with pytest.raises(ValueError, match=r"input_ids.*\(batch, length\)"):
            model(inputs)
    for code in (5, -1, 2**32):
        long_codes = codes.long()
        long_codes[0, 7] = code
        with pytest.raises(ValueError, match=f"input_ids.* {code};?.*0 to 4"):
            model(long_codes)
    letters = torch.zeros(1, 256, 4)
    for inputs in (letters[..., :3], letters[0], letters.int(), letters.transpose(1, 2)):
        with pytest.raises(ValueError, match=r"inputs_embeds.*\(batch, length, 4\)"):
            model(inputs_embeds=inputs)


@pytest.mark.parametrize(("network", "config"), EVERY_NETWORK.values(), ids=EVERY_NETWORK)
def test_a_network_without_its_head_returns_the_input_of_the_head(
    network: type[CoverageModel], config: Config
) -> None:
    model = randomise(network(config))  # type: ignore[arg-type]
    codes = torch.from_numpy(random_codes(256)[None])
    letters = model.one_hot[codes.long()]
    with torch.inference_mode():
        output = model(codes, output_contexts=True, output_hidden_states=True)
        trunk_output = model.model(input_ids=codes, output_contexts=True, output_hidden_states=True)
        from_letters, from_codes = model.model(inputs_embeds=letters), model.model(codes)
    assert torch.equal(trunk_output.last_hidden_state, output.last_hidden_state)
    assert torch.equal(from_letters.last_hidden_state, from_codes.last_hidden_state)
    for values, expected in (
        (trunk_output.contexts, output.contexts),
        (trunk_output.hidden_states, output.hidden_states),
    ):
        assert len(values) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(values, expected, strict=True))
    assert from_codes.contexts is from_codes.hidden_states is from_codes.loss is None
