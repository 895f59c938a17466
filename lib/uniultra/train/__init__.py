"""Training: recipes, the loop, losses, augmentation, distillation."""
