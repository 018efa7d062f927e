"""Training with the Trainer of Hugging Face: mixed in the collator, evaluated on plain labels."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from zetamix.torch import ZetaMixupCollate

from zetamix_core import zeta_plan

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.pipeline,
    # JAX, which other tests may have imported, warns of any fork.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]
BATCH, NUM_MIX, EPOCHS = 64, 8, 5
BATCHES = 22


@pytest.fixture
def transformers(framework, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    framework("accelerate")
    return framework("transformers")


class Features(torch.utils.data.Dataset):
    """Digits in the form of the library, with their numbers."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        pixels, label = self.images[index], int(self.labels[index])
        return {"pixel_values": pixels, "label": label, "index": index}


@pytest.fixture
def new_model(transformers, make_model):
    """A classifier whose own loss is that of the library."""

    class Config(transformers.PretrainedConfig):
        model_type = "digits"

    class Classifier(transformers.PreTrainedModel):
        config_class = Config
        main_input_name = "pixel_values"

        def __init__(self, config):
            super().__init__(config)
            self.layers = make_model()
            self.post_init()

        def _init_weights(self, module):
            """Keep the weights of the network."""

        def forward(self, pixel_values, labels=None, index=None):
            logits = self.layers(pixel_values)
            loss = None
            if labels is not None:
                loss = self.loss_function(labels, logits, self.config)
            return transformers.modeling_outputs.ImageClassifierOutput(loss=loss, logits=logits)

    Classifier.__name__ = "DigitsForImageClassification"

    return lambda: Classifier(Config(num_labels=10))


def soft_loss(outputs, labels, num_items_in_batch=None):
    """Cross-entropy of classes and of soft labels, said explicitly.

    Left alone, a model of the library takes labels of floats for those of many classes at once, and
    silently trains on binary cross-entropy. The Trainer does not divide what it is given by the
    number of batches that it accumulates, and counts entries of labels.
    """
    loss = cross_entropy(outputs.logits, labels, reduction="sum")
    total = labels.numel() if num_items_in_batch is None else num_items_in_batch
    return loss * labels[0].numel() / total


@pytest.fixture
def make_trainer(transformers, new_model, digits, tmp_path):
    """A Trainer that mixes in training alone, and notes the batches it is given."""

    class MixedTrainer(transformers.Trainer):
        # One collator serves training and evaluation by default.
        train_collator = None

        def get_train_dataloader(self):
            plain, self.data_collator = self.data_collator, self.train_collator
            try:
                return super().get_train_dataloader()
            finally:
                self.data_collator = plain

        def compute_loss(self, model, inputs, *args, **kwargs):
            seen = self.trained if model.training else self.evaluated
            seen.append(dict(inputs))
            return super().compute_loss(model, inputs, *args, **kwargs)

    def make_trainer(collate, *, callbacks=(), compute_loss_func=soft_loss, **options):
        defaults = {
            "output_dir": tmp_path,
            "num_train_epochs": EPOCHS,
            "per_device_train_batch_size": BATCH,
            "per_device_eval_batch_size": 150,
            "learning_rate": 0.01,
            "lr_scheduler_type": "constant",
            "eval_strategy": "epoch",
            "save_strategy": "no",
            "logging_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        trainer = MixedTrainer(
            model=new_model(),
            args=transformers.TrainingArguments(**defaults | options),
            train_dataset=Features(digits.images, digits.labels),
            eval_dataset=Features(digits.test_images, digits.test_labels),
            data_collator=transformers.default_data_collator,
            callbacks=[*callbacks],
            compute_loss_func=compute_loss_func,
            compute_metrics=lambda found: {
                "hits": float((found.predictions.argmax(axis=1) == found.label_ids).mean())
            },
        )
        trainer.train_collator = collate
        trainer.trained, trainer.evaluated = [], []
        return trainer

    return make_trainer


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_mixed_and_evaluation_is_not(
    transformers, make_trainer, digits, accuracy, workers
):
    collate = ZetaMixupCollate(
        transformers.default_data_collator,
        num_mix=NUM_MIX,
        num_classes=10,
        keep=["index"],
        seed=4,
    )

    class Epochs(transformers.TrainerCallback):
        def on_epoch_begin(self, args, state, control, **kwargs):
            collate.set_epoch(round(state.epoch))

    trainer = make_trainer(collate, callbacks=[Epochs()], dataloader_num_workers=workers)
    assert accuracy(trainer.model.layers) < 0.3
    trainer.train()
    assert len(trainer.trained) == EPOCHS * BATCHES
    for step, batch in enumerate(trainer.trained):
        epoch, number = divmod(step, BATCHES)
        x, y = digits.images[batch["index"]], digits.labels[batch["index"]]
        num_mix = min(NUM_MIX, len(x))
        plan = zeta_plan(len(x), num_mix=num_mix, rng=(4, epoch, 0, number, 0), like=x)
        assert torch.equal(batch["pixel_values"], plan @ x)
        assert torch.equal(batch["labels"], plan.mix_labels(y, 10))
    assert len(trainer.evaluated) == 3 * EPOCHS
    for batch in trainer.evaluated:
        assert torch.equal(batch["pixel_values"], digits.test_images[batch["index"]])
        assert torch.equal(batch["labels"], digits.test_labels[batch["index"]])
    hits = trainer.evaluate()["eval_hits"]
    assert hits == pytest.approx(accuracy(trainer.model.layers))
    assert hits > 0.85


def test_without_an_epoch_no_epoch_repeats_another(transformers, make_trainer, digits, accuracy):
    collate = ZetaMixupCollate(
        transformers.default_data_collator, num_mix=NUM_MIX, num_classes=10, keep=["index"], seed=4
    )
    trainer = make_trainer(collate, dataloader_num_workers=2)
    trainer.train()
    for step, batch in enumerate(trainer.trained):
        epoch, number = divmod(step, BATCHES)
        x = digits.images[batch["index"]]
        num_mix = min(NUM_MIX, len(x))
        plan = zeta_plan(len(x), num_mix=num_mix, rng=(4, 0, epoch, number, 0), like=x)
        assert torch.equal(batch["pixel_values"], plan @ x), "new workers count as restarts"
    assert accuracy(trainer.model.layers) > 0.85


def test_accumulated_batches_train_as_a_large_one(transformers, make_trainer):
    """Which a loss that is a mean of each batch would not: gradients four times as large."""
    weights = []
    for size, accumulated in ((64, 1), (16, 4)):
        collate = ZetaMixupCollate(
            transformers.default_data_collator, num_mix=1, num_classes=10, keep=["index"]
        )
        transformers.set_seed(0)
        trainer = make_trainer(
            collate,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulated,
            max_steps=1,
            optim="sgd",
            max_grad_norm=0.0,
            eval_strategy="no",
        )
        trainer.train()
        assert len(trainer.trained) == accumulated
        weights.append(nn.utils.parameters_to_vector(trainer.model.parameters()))
    torch.testing.assert_close(*weights)


def test_what_happens_without_a_loss_of_ones_own(transformers, make_trainer):
    """The trap that `soft_loss` is there for: floats are taken for independent classes."""
    collate = ZetaMixupCollate(
        transformers.default_data_collator, num_mix=NUM_MIX, num_classes=10, keep=["index"], seed=4
    )
    trainer = make_trainer(collate, compute_loss_func=None, num_train_epochs=1, eval_strategy="no")
    trainer.train()
    assert trainer.model.config.problem_type == "multi_label_classification"
    batch = trainer.trained[0]
    outputs = trainer.model(batch["pixel_values"], batch["labels"])
    expected = nn.functional.binary_cross_entropy_with_logits(outputs.logits, batch["labels"])
    torch.testing.assert_close(outputs.loss, expected)
