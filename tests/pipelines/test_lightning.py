"""Training with Lightning: mixed batches, validation that is not, runs that are resumed."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, default_collate
from zetamix.torch import ZetaMixup, ZetaMixupCollate

from zetamix_core import zeta_plan

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.pipeline,
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    # Lightning's own use of torch.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    # Advice of Lightning that does not matter for loops this small.
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Consider setting `persistent_workers=True`:UserWarning"),
]
BATCH, NUM_MIX, EPOCHS = 64, 8, 5
BATCHES = 22


@pytest.fixture
def lightning(framework):
    return framework("lightning")


@pytest.fixture
def make_module(lightning, make_model):
    """A module that notes the batches it is given before and after they are mixed."""

    class Digits(lightning.LightningModule):
        def __init__(self, mix=None, guarded=True):
            super().__init__()
            self.model = make_model()
            self.mix = mix
            self.guarded = guarded
            self.given, self.seen, self.validated = [], [], []

        def on_after_batch_transfer(self, batch, dataloader_idx):
            if self.guarded and not self.trainer.training:
                return batch
            if self.trainer.training:
                self.given.append(batch)
            return batch if self.mix is None else self.mix(batch)

        def training_step(self, batch, batch_idx):
            self.seen.append(batch)
            images, labels = batch
            return cross_entropy(self.model(images), labels)

        def validation_step(self, batch, batch_idx):
            self.validated.append(batch)
            images, labels = batch
            # Of class numbers alone: soft labels would not do.
            self.log("hits", (self.model(images).argmax(dim=1) == labels).float().mean())

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    return Digits


@pytest.fixture
def trainer(lightning, tmp_path):
    def trainer(**options):
        defaults = {
            "max_epochs": EPOCHS,
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": tmp_path,
        }
        return lightning.Trainer(**defaults | options)

    return trainer


def loaders(digits, **options):
    # Always in the same order, so that a resumed run is given what the other one was.
    train = DataLoader(TensorDataset(digits.images, digits.labels), batch_size=BATCH, **options)
    test = DataLoader(TensorDataset(digits.test_images, digits.test_labels), batch_size=150)
    return train, test


def plan_of(x, rng):
    return zeta_plan(len(x), num_mix=min(NUM_MIX, len(x)), rng=rng, like=x)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "by the mode of the module"])
def test_training_is_mixed_and_validation_is_not(digits, make_module, trainer, accuracy, guarded):
    """Without the guard, too: Lightning switches a module that it holds to evaluation."""
    module = make_module(ZetaMixup(num_mix=NUM_MIX, num_classes=10, seed=2), guarded)
    assert accuracy(module.model) < 0.3
    run = trainer()
    run.fit(module, *loaders(digits, shuffle=True))
    assert len(module.given) == len(module.seen) == EPOCHS * BATCHES
    for step, ((x, y), (images, labels)) in enumerate(zip(module.given, module.seen, strict=True)):
        plan = plan_of(x, (2, step, 0))
        assert torch.equal(images, plan @ x)
        assert torch.equal(labels, plan.mix_labels(y, 10))
    # Two batches of the sanity check, then three an epoch.
    assert len(module.validated) == 2 + 3 * EPOCHS
    for number, (images, labels) in enumerate(module.validated[2:]):
        place = slice(150 * (number % 3), 150 * (number % 3) + 150)
        assert torch.equal(images, digits.test_images[place])
        assert torch.equal(labels, digits.test_labels[place])
    hits = run.validate(module, loaders(digits)[1], verbose=False)[0]["hits"]
    assert hits == pytest.approx(accuracy(module.model))
    assert hits > 0.85
    assert int(module.mix.step) == EPOCHS * BATCHES, "validation counts no batches"


def test_a_run_resumed_from_a_checkpoint_goes_on(digits, make_module, trainer, tmp_path):
    def mix():
        return ZetaMixup(num_mix=NUM_MIX, num_classes=10, seed=2)

    whole = make_module(mix())
    trainer(max_epochs=3).fit(whole, *loaders(digits))
    first = make_module(mix())
    run = trainer(max_epochs=2)
    run.fit(first, *loaders(digits))
    run.save_checkpoint(tmp_path / "digits.ckpt")
    second = make_module(mix())
    trainer(max_epochs=3).fit(second, *loaders(digits), ckpt_path=tmp_path / "digits.ckpt")
    assert len(first.seen) == 2 * BATCHES
    assert len(second.seen) == BATCHES
    for (images, labels), expected in zip(first.seen + second.seen, whole.seen, strict=True):
        assert torch.equal(images, expected[0])
        assert torch.equal(labels, expected[1])
    assert int(second.mix.step) == 3 * BATCHES
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, second.model.state_dict()[name]), name


@pytest.mark.parametrize("told", [True, False], ids=["told the epoch", "told nothing"])
def test_workers_under_seed_everything(lightning, digits, make_module, trainer, accuracy, told):
    """Lightning seeds workers alike in every epoch; draws differ nevertheless."""

    def with_sources(samples):
        return [*default_collate(samples), torch.eye(len(samples))]

    class Epochs(lightning.Callback):
        """Workers of the first epoch are at work before `on_train_epoch_start`."""

        def on_fit_start(self, trainer, module):
            collate.set_epoch(trainer.current_epoch)

        def on_train_epoch_end(self, trainer, module):
            collate.set_epoch(trainer.current_epoch + 1)

    class Images(make_module):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch[:2], batch_idx)

    lightning.seed_everything(1, workers=True, verbose=False)
    seed = 7 if told else None
    collate = ZetaMixupCollate(with_sources, num_mix=NUM_MIX, num_classes=10, seed=seed)
    module = Images()
    run = trainer(callbacks=[Epochs()] if told else [])
    run.fit(module, *loaders(digits, collate_fn=collate, num_workers=2))
    assert accuracy(module.model) > 0.85
    assert len(module.given) == EPOCHS * BATCHES
    orderings = set()
    for step, (images, labels, sources) in enumerate(module.given):
        epoch, number = divmod(step, BATCHES)
        place = slice(BATCH * number, BATCH * number + BATCH)
        x, y = digits.images[place], digits.labels[place]
        torch.testing.assert_close(images.flatten(1), sources @ x.flatten(1))
        torch.testing.assert_close(labels, sources @ torch.eye(10)[y])
        if told:
            plan = plan_of(x, (7, epoch, 0, number, 0))
            torch.testing.assert_close(sources, plan.matrix())
        if len(x) == BATCH:
            orderings |= {tuple(row.topk(NUM_MIX).indices.tolist()) for row in sources}
    assert len(orderings) == EPOCHS * (BATCHES - 1) * BATCH
